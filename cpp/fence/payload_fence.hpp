// What the payload does to itself between its making and its exec, and how it proves it. Runs in the child.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "child.hpp"

namespace gpuctl::fence::internal {

struct Fenced {
  std::int32_t flags = 0;  // a sum of ReadyFlag
  std::string note;        // why the devices are not proven
  std::string failed;      // this attempt is none: a step (with errno_value), or a sentence
  int errno_value = 0;
};

// Capabilities, Landlock, seccomp, as the attempt has them, then the proof. Only an attempt without a device fence
// comes back without `failed` when the proof does not hold.
Fenced fence_payload(const SpawnRequest& request, const Attempt& attempt);

// The working directory; in a mount namespace by its path, and descriptors 0, 1 and 2 that are directories are opened anew by
// theirs: from a directory of the outer namespace `..` would lead to its /dev. The step that failed, or nullptr.
const char* go_to_directory(const SpawnRequest& request, const Attempt& attempt);

// What the proof opens and what it must not be able to open, by the paths that the payload has for them.
struct ProofPaths {
  std::vector<std::string> own;
  std::vector<std::string> others;
};
ProofPaths proof_paths(const DevicePlan& plan, DeviceFence device);

}  // namespace gpuctl::fence::internal
