#include "finder.hpp"

#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::uint64_t kCgroup2Magic = 0x63677270;  // <linux/magic.h>
constexpr std::uint64_t kCgroupMagic = 0x0027e0eb;
constexpr std::string_view kDeleted = " (deleted)";
constexpr std::size_t kMostSearched = 4096;  // directories

using internal::Mount;
using internal::Mounts;

bool has_magic(int fd, bool v2) {
  struct statfs file_system{};
  if (::fstatfs(fd, &file_system) != 0) return true;  // cannot be asked
  return static_cast<std::uint64_t>(file_system.f_type) == (v2 ? kCgroup2Magic : kCgroupMagic);
}

std::optional<std::string> without_deleted(const std::string& path) {
  if (path.size() <= kDeleted.size()) return std::nullopt;
  const std::size_t length = path.size() - kDeleted.size();
  if (std::string_view(path).substr(length) != kDeleted) return std::nullopt;
  return path.substr(0, length);
}

bool serves(const Mount& mount, const Membership& membership) {
  if (membership.controllers.empty() || mount.is_v2())
    return membership.controllers.empty() && mount.is_v2();
  return std::any_of(membership.controllers.begin(), membership.controllers.end(),
                     [&](const std::string& each) { return mount.has(each); });
}

// cgroup.procs of a threaded group ends with EOPNOTSUPP: it lists threads only.
Result<std::string> read_members(const Dir& directory) {
  Result<std::string> members = directory.read("cgroup.procs");
  if (!members && members.error().errno_value == EOPNOTSUPP)
    members = directory.read("cgroup.threads");
  return members;
}

std::optional<bool> holds(const Dir& directory, pid_t pid) {
  if (pid <= 0) return std::nullopt;
  const Result<std::string> members = read_members(directory);
  if (!members) return std::nullopt;
  const std::string wanted = std::to_string(pid);
  for (const std::string_view line : split(*members, '\n')) {
    if (line == wanted) return true;
  }
  return false;
}

// Fills in the directory `rest` below the mount's point; false, with the reason in the branch, where that fails.
bool enter(const HostFs& fs, const Mount& mount, const std::string& rest, Branch& branch) {
  branch.mount_point = mount.point;
  branch.mount_root = mount.root;
  const std::string directory = mount.point + rest;
  Result<Dir> dir = fs.open_dir(directory.substr(1));
  if (!dir) {
    branch.found = Found::unreachable;
    branch.words = dir.error().message();
    return false;
  }
  if (fs.is_live() && !has_magic(dir->fd(), mount.is_v2())) {
    branch.found = Found::masked;
    branch.words = "something else is mounted at `" + printable(mount.point) + "`";
    return false;
  }
  branch.directory = directory;
  branch.dir = std::move(*dir);
  return true;
}

// "/..", "/../..": how many levels the mount begins above the root of our cgroup namespace.
std::optional<std::size_t> levels_above(const std::string& root) {
  std::size_t levels = 0;
  for (const std::string_view part : split(std::string_view(root).substr(1), '/')) {
    if (part != "..") return std::nullopt;
    ++levels;
  }
  return levels;
}

// Looks for the directory that has `pid`, `levels` below the mount's point and then `path`.
class Search {
 public:
  Search(const HostFs& fs, const Mount& mount, const std::string& path, pid_t pid)
      : fs_(fs), mount_(mount), path_(path == "/" ? "" : path), pid_(pid) {}

  std::optional<std::string> find(const std::string& rest, std::size_t levels) {
    if (++seen_ > kMostSearched) return std::nullopt;
    if (levels == 0) return is_it(rest + path_) ? std::optional(rest + path_) : std::nullopt;
    const Result<Dir> dir = fs_.open_dir((mount_.point + rest).substr(1));
    const Result<std::vector<std::string>> names = dir ? dir->names() : fail(dir.error());
    if (!names) return std::nullopt;
    for (const std::string& name : *names) {
      if (!dir->exists(name + "/cgroup.procs")) continue;
      if (auto found = find(rest + "/" + name, levels - 1)) return found;
    }
    return std::nullopt;
  }

 private:
  bool is_it(const std::string& rest) const {
    const Result<Dir> dir = fs_.open_dir((mount_.point + rest).substr(1));
    return dir && holds(*dir, pid_).value_or(false);
  }

  const HostFs& fs_;
  const Mount& mount_;
  std::string path_;
  pid_t pid_;
  std::size_t seen_ = 0;
};

bool search(const HostFs& fs, const Mount& mount, std::size_t levels, pid_t pid, Branch& branch) {
  const std::optional<std::string> rest =
      pid > 0 ? Search(fs, mount, branch.path, pid).find("", levels) : std::nullopt;
  if (!rest) {
    branch.found = Found::outside_mount;
    branch.words = "`" + printable(mount.point) + "` begins above our cgroup namespace, and pid " +
                   std::to_string(pid) + " is in none of its cgroups";
    return false;
  }
  if (!enter(fs, mount, *rest, branch)) return false;
  branch.found = Found::search;
  branch.words = "`" + printable(mount.point) +
                 "` begins above our cgroup namespace; found by pid " + std::to_string(pid) +
                 " in its cgroup.procs";
  return true;
}

bool try_mount(const HostFs& fs, const Mount& mount, bool told, pid_t pid, Branch& branch) {
  if (internal::has_dot_dot(mount.root)) {
    const std::optional<std::size_t> levels = levels_above(mount.root);
    if (levels) return search(fs, mount, *levels, pid, branch);
  }
  const std::optional<std::string> rest = internal::below(branch.path, mount.root);
  const std::string point = "`" + printable(mount.point) + "`";
  if (!rest) {
    branch.found = Found::outside_mount;
    branch.words = point + " shows `" + printable(mount.root) + "` and what is below it only";
    return false;
  }
  if (!enter(fs, mount, *rest, branch)) return false;
  branch.found = !told               ? Found::default_mount
                 : mount.root == "/" ? Found::mount
                                     : Found::mount_root;
  branch.words = mount.root == "/"
                     ? "mounted at " + point
                     : point + " shows the hierarchy from `" + printable(mount.root) + "` on";
  return true;
}

void give_up(Branch& branch, Found found, std::string words) {
  branch.found = found;
  branch.words = std::move(words);
}

}  // namespace

namespace internal {

Branch find_branch(const HostFs& fs, const Mounts& mounts, const Membership& membership,
                   pid_t pid) {
  Branch branch;
  branch.controllers = membership.controllers;
  branch.path = membership.path;
  branch.words = "not mounted: nothing in our mount namespace shows this hierarchy";
  if (has_dot_dot(branch.path)) {
    give_up(branch, Found::outside_namespace, "not below the root of our cgroup namespace");
    return branch;
  }
  if (branch.path.empty() || branch.path.front() != '/') {
    give_up(branch, Found::unreachable, "`" + printable(branch.path) + "` is no path");
    return branch;
  }
  const std::optional<std::string> before = without_deleted(branch.path);
  for (const Mount& mount : mounts.all) {
    if (!serves(mount, membership)) continue;
    if (try_mount(fs, mount, mounts.told, pid, branch)) break;
  }
  if (branch.dir) branch.confirmed = holds(*branch.dir, pid);
  if (branch.dir || !before) return branch;
  branch.path = *before;
  give_up(branch, Found::deleted, "the cgroup was removed");
  return branch;
}

Result<Branch> open_branch(const HostFs& fs, const Mount& mount, const std::string& rest) {
  Branch branch;
  branch.controllers = mount.controllers;
  branch.path = mount.root == "/" ? rest : mount.root + rest;
  if (branch.path.empty()) branch.path = "/";
  const Result<Dir> dir = fs.open_dir((mount.point + rest).substr(1));
  if (!dir) return fail(dir.error());
  if (!dir->exists("cgroup.procs"))
    return fail(ErrorCode::not_found, dir->path(), "not the directory of a cgroup");
  if (!enter(fs, mount, rest, branch))
    return fail(ErrorCode::unavailable, dir->path(), branch.words);
  give_up(branch, Found::given, "as given");
  return branch;
}

}  // namespace internal

const char* name_of(Found found) {
  switch (found) {
    case Found::mount: return "mount";
    case Found::mount_root: return "mount_root";
    case Found::search: return "search";
    case Found::default_mount: return "default_mount";
    case Found::given: return "given";
    case Found::deleted: return "deleted";
    case Found::outside_namespace: return "outside_namespace";
    case Found::outside_mount: return "outside_mount";
    case Found::not_mounted: return "not_mounted";
    case Found::masked: return "masked";
    case Found::unreachable: break;
  }
  return "unreachable";
}

}  // namespace gpuctl::cgroup
