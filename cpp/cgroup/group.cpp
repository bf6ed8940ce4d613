#include "gpuctl/cgroup/group.hpp"

#include <unistd.h>

#include <algorithm>

#include "finder.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "mounts.hpp"

namespace gpuctl::cgroup {
namespace {

using internal::Mount;
using internal::Mounts;

bool lists(const Branch& branch, const std::string& controller) {
  const std::vector<std::string>& all = branch.controllers;
  return std::find(all.begin(), all.end(), controller) != all.end();
}

// v1 alone: the memory controller is what people mean by the cgroup of a job.
void put_main_first(std::vector<Branch>& branches) {
  const auto is_main = [](const Branch& each) { return each.is_v2() || lists(each, "memory"); };
  if (!branches.empty() && branches.front().is_v2()) return;
  std::stable_partition(branches.begin(), branches.end(), is_main);
}

const char* version_of(const std::vector<Branch>& branches, const Mounts& mounts) {
  const auto is_v1 = [](const Mount& mount) { return !mount.is_v2(); };
  const bool v1 = std::any_of(mounts.all.begin(), mounts.all.end(), is_v1);
  const bool v2 = std::any_of(branches.begin(), branches.end(),
                              [](const Branch& each) { return each.is_v2(); });
  if (!v1) return "v2";
  return v2 ? "hybrid" : "v1";
}

// A directory below a mount point, of the mount that lies deepest.
const Mount* mount_above(const Mounts& mounts, const std::string& directory) {
  const Mount* found = nullptr;
  for (const Mount& mount : mounts.all) {
    if (!internal::below(directory, mount.point)) continue;
    if (found == nullptr || mount.point.size() >= found->point.size()) found = &mount;
  }
  return found;
}

// "//a/./b/" -> "/a/b"
std::string normalised(const std::string& path) {
  std::string plain;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty() && part != ".") plain += "/" + std::string(part);
  }
  return plain.empty() ? "/" : plain;
}

Result<void> require_plain(const std::string& path) {
  if (path.empty() || path.front() != '/')
    return fail(ErrorCode::usage, "",
                "`" + printable(path) + "` is no path of a cgroup: it does not begin with `/`");
  if (internal::has_dot_dot(path))
    return fail(ErrorCode::usage, "",
                "`" + printable(path) + "` is no path of a cgroup: it holds `..`");
  if (path.find('\0') != std::string::npos)
    return fail(ErrorCode::usage, "", "`" + printable(path) + "` is no path of a cgroup");
  return {};
}

// The pid that /proc/self means: ours, or in a recording the one that the link names.
pid_t self_pid(const HostFs& fs) {
  if (fs.is_live()) return ::getpid();
  const Result<Dir> proc = fs.open_dir(host_paths::kProc);
  const auto target = proc ? proc->link_target("self") : fail(proc.error());
  if (!target || !*target) return 0;
  const Result<std::uint64_t> pid = parse_unsigned(**target, "pid", 10, 0x7fffffff);
  return pid ? static_cast<pid_t>(*pid) : 0;
}

}  // namespace

Group::Group(Home home, std::vector<Branch> branches, std::optional<pid_t> pid)
    : home_(std::move(home)), branches_(std::move(branches)), pid_(pid) {
  put_main_first(branches_);
  slot_ = slot_of(path());
  // Hybrid: who manages v1 alone leaves its processes at the root of v2.
  const Branch* memory = branch("memory");
  if (slot_.kind == SlotKind::root && memory != nullptr) slot_ = slot_of(memory->path);
}

Result<Group> Group::of(const HostFs& fs, Result<Home> home, pid_t pid) {
  if (!home) return fail(std::move(home).error());
  const Mounts mounts = internal::read_mounts(fs);
  std::vector<Branch> branches;
  for (const Membership& each : home->memberships)
    branches.push_back(internal::find_branch(fs, mounts, each, pid));
  const std::optional<pid_t> known = pid > 0 ? std::optional<pid_t>(pid) : std::nullopt;
  return Group(std::move(*home), std::move(branches), known);
}

Result<Group> Group::of_self(const HostFs& fs) { return of(fs, read_home(fs), self_pid(fs)); }

Result<Group> Group::of_process(const HostFs& fs, pid_t pid) {
  return of(fs, read_home(fs, pid), pid);
}

Result<Group> Group::at(const HostFs& fs, const std::string& path) {
  if (const Result<void> plain = require_plain(path); !plain) return fail(plain.error());
  const std::string wanted = normalised(path);
  const Mounts mounts = internal::read_mounts(fs);
  std::vector<Branch> branches;
  Error error = fail(ErrorCode::not_found, path, "no such cgroup").error;
  const auto add = [&](const Mount& mount, const std::string& rest) {
    Result<Branch> branch = internal::open_branch(fs, mount, rest);
    if (branch)
      branches.push_back(std::move(*branch));
    else if (branch.error().code != ErrorCode::not_found)
      error = branch.error();
  };
  if (const Mount* mount = mount_above(mounts, wanted)) {
    add(*mount, *internal::below(wanted, mount->point));
  } else {
    for (const Mount& each : mounts.all) {
      const std::optional<std::string> rest = internal::below(wanted, each.root);
      if (rest) add(each, *rest);
    }
  }
  if (branches.empty()) {
    error.path = printable(error.path);  // the caller may have it from anybody
    return fail(std::move(error));
  }
  std::stable_partition(branches.begin(), branches.end(),
                        [](const Branch& each) { return each.is_v2(); });
  Home home{version_of(branches, mounts), branches.front().path, {}};
  return Group(std::move(home), std::move(branches), std::nullopt);
}

Result<Group> Group::below(const HostFs& fs, const std::string& mount_point,
                           const std::string& directory) {
  const std::optional<std::string> rest = internal::below(directory, mount_point);
  if (!rest) return fail(ErrorCode::usage, directory, "not below `" + mount_point + "`");
  Result<Branch> branch = internal::open_branch(fs, Mount{mount_point, "/", {}}, *rest);
  if (!branch) return fail(std::move(branch).error());
  Home home{"v2", branch->path, {}};
  std::vector<Branch> branches;
  branches.push_back(std::move(*branch));
  return Group(std::move(home), std::move(branches), std::nullopt);
}

Result<Branch> branch_of_self(const HostFs& fs, const std::string& controller) {
  const Result<Home> home = read_home(fs);
  if (!home) return fail(home.error());
  const std::vector<Membership>& all = home->memberships;
  const auto with_controller = [&](const Membership& each) {
    return std::find(each.controllers.begin(), each.controllers.end(), controller) !=
           each.controllers.end();
  };
  auto found = std::find_if(all.begin(), all.end(), with_controller);
  if (found == all.end() && !all.empty() && all.front().controllers.empty()) found = all.begin();
  if (found == all.end())
    return fail(ErrorCode::unsupported, home->path, "there is no such hierarchy");
  return internal::find_branch(fs, internal::read_mounts(fs), *found, self_pid(fs));
}

const Branch* Group::branch(const std::string& controller) const {
  for (const Branch& each : branches_) {
    if (lists(each, controller)) return &each;
  }
  return branches_.front().is_v2() ? &branches_.front() : nullptr;
}

bool Group::has_directory() const {
  return std::any_of(branches_.begin(), branches_.end(),
                     [](const Branch& each) { return each.dir.has_value(); });
}

}  // namespace gpuctl::cgroup
