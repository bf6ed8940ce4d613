// What this kernel and this user can fence with, found out by doing it: never by a version or by a file that says so.
//
// Each capability is tried in a child of its own that has two seconds; a runtime for containers has ten, since its first
// start of a day is slow. One that fails says with which errno and at what. The answers are kept in STATE/probe/UID and are
// good for the boot, the uid and the namespaces that they were found in.
//
//   Result<Capabilities> found = probe({state_dir, path, false});
//   if (const Capability* landlock = find(*found, "landlock_files")) …
//
// `gpuctl run` does not ask: it tries its rungs itself, one after the other. The caller has one thread and no children.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::fence {

struct Capability {
  std::string name;  // "private_dev"
  std::string what;  // for people: "a /dev of the payload's own"
  bool has = false;
  int errno_value = 0;  // why not; 0: no system call failed
  std::string detail;   // what was found, or what failed
};

struct Capabilities {
  std::vector<Capability> all;  // in the order of the ladder
  bool from_cache = false;
};

struct ProbeOptions {
  std::optional<std::string> state_dir;
  std::string path;        // PATH, to find the runtimes
  std::string own_binary;  // what the runtimes are tried with: static, so that it needs no image
  std::string home;        // HOME, where they keep their own
  bool fresh = false;      // ask again, whatever is kept
};

// Errors are those of /proc: who and where we are cannot be told.
Result<Capabilities> probe(const HostFs& fs, const ProbeOptions& options);

// nullptr when nobody asked for it.
const Capability* find(const Capabilities& capabilities, const std::string& name);

}  // namespace gpuctl::fence
