// The files of one cgroup directory (cgroups(7)): each read or written whole, by its name below a descriptor.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::cgroup {

Result<std::string> read_file(int dir_fd, const char* name);
Result<void> write_file(int dir_fd, const char* name, const std::string& text);

// The value behind `key` in a text of lines "KEY VALUE".
std::optional<std::string_view> value_of(std::string_view text, std::string_view key);

// The same of a file.
Result<std::string> read_key(int dir_fd, const char* name, const std::string& key);

// Numbers of cgroup.procs; of cgroup.threads where the group is threaded. Pids of other pid namespaces are 0.
std::vector<pid_t> read_pids(int dir_fd);

// Names of the groups directly below.
std::vector<std::string> group_names(int dir_fd);

// `visit` for the group and each one below it. Groups that vanish meanwhile are passed over.
void for_each_group(int dir_fd, const std::function<void(int dir_fd)>& visit);

}  // namespace gpuctl::cgroup
