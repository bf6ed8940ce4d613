// Where the cgroup hierarchies are mounted (proc_pid_mountinfo(5)).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"

namespace gpuctl::cgroup::internal {

struct Mount {
  std::string point;                     // where in the file system
  std::string root;                      // path of the cgroup that is mounted there
  std::vector<std::string> controllers;  // of v1; none: v2. Hierarchies without either are left out

  bool is_v2() const { return controllers.empty(); }
  bool has(const std::string& controller) const;
};

struct Mounts {
  std::vector<Mount> all;  // in the order of mounting
  bool told = false;       // by a mountinfo; otherwise looked for in the usual places
};

// Lines of other file systems, and what is no such line, are passed over.
std::vector<Mount> parse_mounts(std::string_view mountinfo);

// Of the mount namespace that we are in.
Mounts read_mounts(const HostFs& fs);

// "a\040b" -> "a b".
std::string unescape(std::string_view text);

// `path` is `root` or below it: what follows, "" or "/…".
std::optional<std::string> below(const std::string& path, const std::string& root);

bool has_dot_dot(std::string_view path);

}  // namespace gpuctl::cgroup::internal
