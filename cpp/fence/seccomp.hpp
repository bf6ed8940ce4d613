// The seccomp filter: what a process may not do to those outside, told by the arguments of its system calls.
#pragma once

#include <sys/types.h>

#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl::fence::internal {

// See restrict.hpp. `protected_pids` come with their process groups, as these are now. Needs no_new_privs.
Result<void> enter_filter(const std::vector<pid_t>& protected_pids);

}  // namespace gpuctl::fence::internal
