// Without: what of this kernel gpuctl is to do without. TEST-ONLY: it makes a new kernel look like an old one.
//
// What a kernel has is found out by trying it, never by its version (distributions carry features back). These
// switches make such a try fail, so that each fallback runs, as a whole program too, on a kernel that has everything:
//
//   GPUCTL_TEST_WITHOUT=pidfd,children gpuctl tree 1234
//
// Set once, by main() or a test, before any other thread exists; the rooms only read it.
#pragma once

#include <string_view>

#include "gpuctl/base/result.hpp"

namespace gpuctl {

struct Without {
  bool pidfd = false;              // pidfd_open(2): before 5.3, or refused by a container's filter
  bool children = false;           // /proc/PID/task/TID/children: CONFIG_PROC_CHILDREN
  bool cgroup_kill = false;        // cgroup.kill: before 5.14
  bool cgroup_freeze = false;      // cgroup.freeze: before 5.2
  bool clone_into_cgroup = false;  // CLONE_INTO_CGROUP: before 5.7
  bool foreign_proc = false;       // /proc of other users: mounted with hidepid=2
  bool namespaces = false;         // pid and mount namespaces: user.max_user_namespaces = 0
  bool private_dev = false;        // a file system mounted over /dev
  bool landlock = false;           // Landlock: before 5.13, or not in `lsm=`
  bool landlock_scope = false;     // its scope of signals: before 6.12
  bool seccomp = false;            // seccomp filters
  bool device_filter = false;      // BPF_CGROUP_DEVICE
};

// What is in force now.
const Without& without();

// Names of the members above, separated by commas; empty: nothing. ErrorCode::usage for an unknown one.
Result<Without> parse_without(std::string_view list);
void set_without(const Without& chosen);

}  // namespace gpuctl
