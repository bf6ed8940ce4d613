// What a process takes from itself, for good, before it becomes the payload: Landlock (landlock(7)) and a seccomp filter
// (seccomp(2)). Both survive exec and are inherited; both need no_new_privs, under which setuid programs (sudo,
// Apptainer's starter-suid, fusermount, ping) gain nothing. So they are not used where a namespace already does the work.
//
// Landlock   `refused_nodes` cannot be opened, on no path: not through /proc/PID/root, a descriptor opened with O_PATH, a
//            hard link or another mount. Neither can anything that appears later beside one of them, nor, where that is
//            /dev, its disks, consoles and serial lines. All else stays as it is, but that mount(2) is refused and, before 5.19, renaming into another directory (EXDEV). With
//            `scope_signals` (6.12) no signal leaves the domain, and nobody outside can be traced or have his environment read.
// seccomp    by argument: `kill(-1)`, signals and every way of tampering (prlimit, scheduler, priorities, ptrace, process_vm)
//            to `protected_pids` and their groups give EPERM; prlimit(2) of any other process too. Foreign
//            architectures (32 bit) give ENOSYS, since their numbers would go past the filter.
//
// To be called by a process with one thread, after all mounts are made:
//
//   Restrictions wanted;
//   wanted.refused_nodes = plan.refused;
//   Result<Restricted> done = restrict_self(wanted);
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl::fence {

struct Restrictions {
  bool landlock = true;
  std::vector<std::string> refused_nodes;  // absolute paths; need not be there
  bool scope_signals = true;               // where the kernel has it
  bool seccomp = true;
  std::vector<pid_t> protected_pids;  // the supervisor and whoever stands above it
};

struct Restricted {
  bool landlock = false;
  bool scopes_signals = false;  // tried on the parent: EL9's 5.14 has the version without the scope
  bool seccomp = false;
  std::vector<std::string> notes;  // what was not to be had, and why
};

// ErrorCode::unsupported when Landlock was wanted for `refused_nodes` and cannot be had: nothing was taken then.
// Other parts that cannot be had are notes.
Result<Restricted> restrict_self(const Restrictions& wanted);

// The version of Landlock's interface; 0: there is none here (before 5.13, or not in `lsm=`).
int landlock_abi();

}  // namespace gpuctl::fence
