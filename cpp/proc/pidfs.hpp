// The kernel's own identity of a process: the inode of its pidfd, unique since boot (pidfs, Linux 6.9).
#pragma once

#include <cstdint>
#include <optional>

namespace gpuctl::proc::internal {

// nullopt before Linux 6.9: every pidfd had the same anonymous inode, which identifies nothing.
std::optional<std::uint64_t> unique_inode(int pidfd);

}  // namespace gpuctl::proc::internal
