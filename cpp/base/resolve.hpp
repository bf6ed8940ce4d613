// Opening a path inside a root, the two ways: by the kernel (openat2) and by our own walk.
#pragma once

#include <string>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::internal {

// True when this kernel, and any seccomp filter above us, lets openat2(2) through.
bool openat2_works(int root_fd);

// Both return the descriptor, or an invalid one with errno set.
int open_in_root_by_kernel(int root_fd, const std::string& path, int flags);
int open_in_root_by_walk(int root_fd, const std::string& path, int flags);

}  // namespace gpuctl::internal
