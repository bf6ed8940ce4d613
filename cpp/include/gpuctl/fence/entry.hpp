// The fence from inside a container: what `gpuctl fence-entry` does before it becomes the payload.
//
// A container runtime (Apptainer, Podman) makes its own namespaces, so outside it gpuctl gives it a session, a cgroup and
// a subreaper only (ProcessFence::runtime), and the rest is applied inside, after the runtime's mounts:
//
//   apptainer exec -C -B /dev/nvidia0 -B /dev/nvidiactl … IMAGE
//       gpuctl fence-entry --own /dev/nvidia0 --own /dev/nvidiactl --proof /work/fence.json -- ./payload
//
// It refuses every GPU node in the container's /dev that is not an `--own` one (Landlock), puts the seccomp filter on,
// proves both by trying, writes the proof, and execs. It needs nothing in the image: the binary is static.
//
// Exit codes: 125 the fence does not hold as `demand` wants it (the payload was not started), 126 and 127 as a shell.
#pragma once

#include <string>
#include <vector>

#include "gpuctl/fence/device_fence.hpp"
#include "gpuctl/fence/restrict.hpp"

namespace gpuctl::fence {

struct Entry {
  std::vector<std::string> own;  // absolute paths in the container
  std::vector<pid_t> protected_pids;
  bool landlock = true;
  bool seccomp = true;
};

struct Entered {
  DeviceFence device =
      DeviceFence::advisory;  // landlock; slot where the container's mounts alone refuse them
  DeviceProof proof;
  Restricted restricted;
};

// Applies it to the calling process. Errors are those of listing /dev.
Result<Entered> enter_fence(const Entry& entry);

}  // namespace gpuctl::fence
