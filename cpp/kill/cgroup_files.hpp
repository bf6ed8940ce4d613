// The files of one cgroup directory (cgroups(7)): each read or written whole, by its name below a descriptor.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::kill::internal {

Result<std::string> read_group_file(int dir_fd, const char* name);
Result<void> write_group_file(int dir_fd, const char* name, const std::string& text);

// The value behind `key` in a file of lines "KEY VALUE".
Result<std::string> read_group_key(int dir_fd, const char* name, const std::string& key);

// Numbers of cgroup.procs; of cgroup.threads where the group is threaded. Pids of other pid namespaces are 0.
std::vector<pid_t> read_group_pids(int dir_fd);

// `visit` for the group and each one below it. Groups that vanish meanwhile are passed over.
void for_each_group(int dir_fd, const std::function<void(int dir_fd)>& visit);

}  // namespace gpuctl::kill::internal
