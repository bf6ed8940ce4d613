#include "mounts.hpp"

#include <algorithm>
#include <array>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup::internal {
namespace {

// Those of v1: a mount's options name them among others (rw, xattr, name=systemd).
constexpr std::array kControllers = {"blkio",    "cpu",     "cpuacct", "cpuset",     "devices",
                                     "freezer",  "hugetlb", "memory",  "misc",       "net_cls",
                                     "net_prio", "pids",    "rdma",    "perf_event", "debug"};

std::vector<std::string> controllers_in(std::string_view list) {
  std::vector<std::string> found;
  for (const std::string_view each : split(list, ',')) {
    if (std::find(kControllers.begin(), kControllers.end(), each) != kControllers.end())
      found.emplace_back(each);
  }
  return found;
}

// "ID PARENT DEV ROOT POINT OPTIONS [TAG…] - TYPE SOURCE SUPER_OPTIONS"
std::optional<Mount> parse_line(std::string_view line) {
  const std::size_t dash = line.find(" - ");
  if (dash == std::string_view::npos) return std::nullopt;
  const std::vector<std::string_view> head = split(line.substr(0, dash), ' ');
  const std::vector<std::string_view> tail = split(line.substr(dash + 3), ' ');
  if (head.size() < 6 || tail.size() < 3) return std::nullopt;
  Mount mount{unescape(head[4]), unescape(head[3]), {}};
  if (tail[0] == "cgroup2") return mount;
  if (tail[0] != "cgroup") return std::nullopt;
  mount.controllers = controllers_in(tail[2]);
  if (mount.controllers.empty()) return std::nullopt;
  return mount;
}

bool is_octal(char letter) { return letter >= '0' && letter <= '7'; }

Mount at_point(const std::string& point, std::vector<std::string> controllers) {
  return {"/" + point, "/", std::move(controllers)};
}

// A recording may have no mountinfo: the directories tell.
std::vector<Mount> usual_mounts(const HostFs& fs) {
  const std::string top = host_paths::kCgroupMount;
  const Result<std::optional<Dir>> directory = fs.open_dir_if_present(top);
  if (!directory || !*directory) return {};
  if ((*directory)->exists("cgroup.procs")) return {at_point(top, {})};
  std::vector<Mount> found;
  const Result<std::vector<std::string>> names = (*directory)->names();
  for (const std::string& name : names ? *names : std::vector<std::string>()) {
    if (!(*directory)->exists(name + "/cgroup.procs")) continue;
    const bool unified = top + "/" + name == host_paths::kCgroupUnified;
    std::vector<std::string> controllers = controllers_in(name);
    if (unified || !controllers.empty())
      found.push_back(at_point(top + "/" + name, std::move(controllers)));
  }
  return found;
}

}  // namespace

bool Mount::has(const std::string& controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::vector<Mount> parse_mounts(std::string_view mountinfo) {
  std::vector<Mount> mounts;
  for (const std::string_view line : split(mountinfo, '\n')) {
    if (std::optional<Mount> mount = parse_line(line)) mounts.push_back(std::move(*mount));
  }
  return mounts;
}

Mounts read_mounts(const HostFs& fs) {
  const Result<std::string> text = fs.read_file(host_paths::kSelfMountinfo);
  if (text) return {parse_mounts(*text), true};
  return {usual_mounts(fs), false};
}

std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool escaped = text[at] == '\\' && at + 3 < text.size() && is_octal(text[at + 1]) &&
                         is_octal(text[at + 2]) && is_octal(text[at + 3]);
    if (!escaped) {
      plain += text[at];
      continue;
    }
    const int code = (text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 + (text[at + 3] - '0');
    plain += static_cast<char>(code);
    at += 3;
  }
  return plain;
}

std::optional<std::string> below(const std::string& path, const std::string& root) {
  if (root == "/") return path == "/" ? "" : path;
  if (path.compare(0, root.size(), root) != 0) return std::nullopt;
  if (path.size() != root.size() && path[root.size()] != '/') return std::nullopt;
  return path.substr(root.size());
}

bool has_dot_dot(std::string_view path) {
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return true;
  }
  return false;
}

}  // namespace gpuctl::cgroup::internal
