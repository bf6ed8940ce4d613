// Starting a payload so that its signals stay inside: the only place where gpuctl makes a process (clone3(2)).
//
// ProcessFence::pid_namespace
//   The payload lives in a pid namespace of its own, below an init that never execs and only reaps, in a session
//   of its own, with its own /proc. `kill -9 -1` reaches the namespace only; `kill -9 0` reaches the session only
//   (a namespace alone does not stop it: process groups cross namespaces). When init dies the kernel ends all
//   of them, and init is only gone when all of them are: that is the proof of the end. Init dies with the caller
//   (PR_SET_PDEATHSIG). Without privilege it comes in a user namespace that maps the caller's ids to themselves.
// ProcessFence::session
//   Where the kernel or a container refuses that: a session of its own and the caller as subreaper. `kill -9 0` is
//   contained, `kill -9 -1` of the same uid is not. `notes` says why it came to this.
// ProcessFence::runtime
//   Only when asked for: the payload is a container runtime, which needs its user's rights and makes the namespaces itself.
//   It gets the session, and nothing is taken from it; `gpuctl fence-entry` does the rest inside (fence/entry.hpp).
//
// Devices: see device_fence.hpp. With `devices` every pair of a process fence and a device fence is tried, the strongest
// first, until one proves to hold; where none does, the payload is made all the same, and `proof` says what it could open:
// whether that will do is the caller's to decide, before release(). What a payload outside of namespaces cannot be kept from
// by them is kept from it by Landlock and seccomp (restrict.hpp), unless `restrict` is false: they take setuid programs away.
//
// Of privileges the payload keeps what a container's root has, in a user namespace none. It is the first that the
// kernel's memory killer takes. In a mount namespace `hidden` is out of its sight, and the working directory is gone to by
// its path: a descriptor from outside would lead back out.
//
// With `cgroup_fd` the first process is born in that cgroup (clone3(2), CLONE_INTO_CGROUP, 5.7) or, where the kernel cannot
// do that, moves itself there before it does anything else; an attempt that cannot enter it fails. In a namespace the
// cgroup files are read-only to the payload, so that it cannot lift its limits or end its pilot by them.
//
// The payload waits before its exec until release(), so that the caller can record it first:
//
//   Result<Child> child = spawn(request);
//   write the records;
//   release(*child);
//   poll child->exec_error: end of file = exec'ed; otherwise exec_errno() says why not
//
// The caller is single-threaded, is a subreaper, has its signals blocked, and reaps. Child owns its descriptors;
// the processes outlive it.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/fence/device_fence.hpp"

namespace gpuctl::fence {

enum class ProcessFence { runtime, session, pid_namespace };  // weakest first

const char* name_of(ProcessFence fence);
std::optional<ProcessFence> find_process_fence(std::string_view name);

struct SpawnRequest {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH of `environment`
  std::vector<std::string> environment;  // NAME=value
  int directory_fd = -1;                 // the payload's working directory; -1: ours
  std::string directory;                 // its path, where there is one
  int stdout_fd = -1;                    // -1: ours, untouched
  int stderr_fd = -1;
  int cgroup_fd = -1;      // directory of the cgroup (v2) that it is born in; -1: ours
  sigset_t signal_mask{};  // of the payload
  ProcessFence strongest = ProcessFence::pid_namespace;
  const DevicePlan* devices = nullptr;  // nullptr: no device fence, and no proof
  DeviceFence strongest_device = DeviceFence::private_dev;
  std::vector<std::string> hidden;  // directories, sockets and files
  std::vector<std::string> shown;   // files in one of them that it may read all the same
  bool restrict = true;
};

struct Child {
  ProcessFence fence = ProcessFence::session;
  pid_t pid = 0;      // init with pid_namespace, else the payload: the direct child of the caller
  pid_t payload = 0;  // the payload's pid as the caller sees it
  Fd channel;         // SOCK_SEQPACKET: init's words (see payload_status)
  Fd their_end;  // of the channel, kept open: init's end is told by SIGCHLD, not by a hang-up before it
  Fd exec_error;
  bool cgroups_are_read_only = false;  // to the payload
  DeviceFence device = DeviceFence::advisory;
  DeviceProof proof;  // tried by the payload itself
  bool has_landlock = false;
  bool has_seccomp = false;
  bool scopes_signals = false;  // tried: the supervisor cannot be signalled
  std::vector<std::string> notes;
};

Result<Child> spawn(const SpawnRequest& request);

// Lets the payload exec.
Result<void> release(const Child& child);

// Why the exec failed, once `exec_error` is readable; nullopt when it succeeded.
std::optional<int> exec_errno(const Child& child);

// The payload's wait status, once init has sent it over `channel` (pid_namespace only): when something was left running,
// or a signal ended the payload. Otherwise init sends nothing and ends with the payload's exit code.
std::optional<int> payload_status(const Child& child);

}  // namespace gpuctl::fence
