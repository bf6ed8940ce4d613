// Where a process lives in the cgroup hierarchies, as the kernel tells it (cgroups(7), /proc/PID/cgroup).
//
// Names only: which directory that is, if any, is asked of Group (group.hpp).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::cgroup {

// One line of /proc/PID/cgroup: its path in one hierarchy.
struct Membership {
  std::vector<std::string> controllers;  // none: the v2 hierarchy
  std::string path;
};

struct Home {
  std::string version;  // "v2": unified, "hybrid": v2 beside v1 controllers, "v1": no v2 hierarchy
  std::string
      path;  // in the v2 hierarchy ("/user.slice/…"); with v1 the path of the memory controller
  std::vector<Membership> memberships;  // v2 first; hierarchies without a controller left out
};

// Lines come in any order and paths may hold ':', so only the first two are separators. A cgroup that was removed keeps
// the kernel's suffix " (deleted)": whether it is part of the name only the file system can tell.
Result<Home> parse_home(std::string_view text);

// The calling process's home, and that of any process. ErrorCode::not_found or vanished when there is none.
Result<Home> read_home(const HostFs& fs);
Result<Home> read_home(const HostFs& fs, pid_t pid);

}  // namespace gpuctl::cgroup
