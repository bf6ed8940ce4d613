// From a path in a hierarchy to its directory, or to the reason why there is none.
#pragma once

#include <sys/types.h>

#include "gpuctl/cgroup/group.hpp"
#include "mounts.hpp"

namespace gpuctl::cgroup::internal {

// `pid` whose path it is; 0: not known.
Branch find_branch(const HostFs& fs, const Mounts& mounts, const Membership& membership, pid_t pid);

// The directory `rest` ("" or "/…") below the mount's point, for a caller who named it.
Result<Branch> open_branch(const HostFs& fs, const Mount& mount, const std::string& rest);

}  // namespace gpuctl::cgroup::internal
