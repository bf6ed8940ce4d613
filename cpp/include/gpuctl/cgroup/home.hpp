// Where a process lives in the cgroup hierarchies (cgroups(7), /proc/PID/cgroup).
#pragma once

#include <string>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::cgroup {

struct Home {
  std::string version;  // "v2": unified, "hybrid": v2 beside v1 controllers, "v1": no v2 hierarchy
  std::string
      path;  // in the v2 hierarchy ("/user.slice/…"); with v1 the path of the memory controller
};

// Lines come in any order and paths may hold ':', so only the first two are separators.
Result<Home> parse_home(std::string_view text);

// The calling process's home.
Result<Home> read_home(const HostFs& fs);

}  // namespace gpuctl::cgroup
