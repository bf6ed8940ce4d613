#include "gpuctl/kill/cgroup_target.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <set>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/without.hpp"
#include "gpuctl/cgroup/group_files.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::kill {
namespace {

constexpr std::uint64_t kCgroup2Magic = 0x63677270;  // CGROUP2_SUPER_MAGIC of <linux/magic.h>
constexpr Usec kFreezeLimit = 2 * kUsecPerSec;
constexpr Usec kFirstLook = 1'000;  // the kernel tells of an empty group late, so look by ourselves
constexpr Usec kLaterLooks = 20'000;

bool is_cgroup2(int fd) {
  struct statfs file_system{};
  return ::fstatfs(fd, &file_system) == 0 &&
         static_cast<std::uint64_t>(file_system.f_type) == kCgroup2Magic;
}

// The v2 hierarchy: the mount itself, or beside the v1 controllers in a folder of its own.
std::string mount_of(const HostFs& fs) {
  const Result<Dir> plain = fs.open_dir(host_paths::kCgroupMount);
  if (plain && is_cgroup2(plain->fd())) return host_paths::kCgroupMount;
  return host_paths::kCgroupUnified;
}

bool climbs(const std::string& path) {
  for (const std::string_view part : split(path, '/')) {
    if (part == "..") return true;
  }
  return false;
}

// Where it is below the root of `fs`.
std::string place_of(const HostFs& fs, const std::string& path) {
  const std::string mount = "/" + std::string(host_paths::kCgroupMount);
  if (path == mount || path.compare(0, mount.size() + 1, mount + "/") == 0) return path.substr(1);
  return mount_of(fs) + (path.empty() || path[0] != '/' ? "/" : "") + path;
}

Failure no_use(const std::string& path, const std::string& why) {
  return fail(ErrorCode::usage, path, why);
}

}  // namespace

Result<CgroupTarget> CgroupTarget::open(const HostFs& fs, const std::string& path) {
  if (path.empty()) return no_use(path, "an empty path, give that of a cgroup");
  if (climbs(path)) return no_use(path, "`..` in it, give the path without");
  Result<Fd> dir = fs.open_path(place_of(fs, path), O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error());
  if (fs.is_live() && !is_cgroup2(dir->get()))
    return no_use(path, "not in the cgroup v2 hierarchy");
  struct stat status{};
  if (::fstatat(dir->get(), "cgroup.events", &status, AT_SYMLINK_NOFOLLOW) != 0)
    return no_use(path, "the root of the hierarchy, which holds all of the machine");
  return CgroupTarget(fs, std::move(*dir), path);
}

Result<bool> CgroupTarget::populated() const {
  const Result<std::string> value = cgroup::read_key(dir_.get(), "cgroup.events", "populated");
  if (value) return *value != "0";
  const ErrorCode code = value.error().code;
  if (code == ErrorCode::not_found || code == ErrorCode::vanished) return false;  // removed
  return fail(value.error());
}

CgroupTarget::Listing CgroupTarget::list() const {
  Listing found;
  cgroup::for_each_group(dir_.get(), [&](int group) {
    for (const pid_t pid : cgroup::read_pids(group)) {
      if (pid > 0) {
        found.pids.push_back(pid);
      } else {
        ++found.unseen;
      }
    }
  });
  std::sort(found.pids.begin(), found.pids.end());
  found.pids.erase(std::unique(found.pids.begin(), found.pids.end()), found.pids.end());
  return found;
}

std::optional<std::string> CgroupTarget::objection(Signaller& signaller) const {
  const Listing listing = list();
  for (const pid_t pid : listing.pids) {
    const Result<proc::Stat> stat = proc::read_stat(fs_, pid);
    if (!stat || stat->is_dead()) continue;
    if (const std::optional<std::string> reason = signaller.objection(*stat))
      return "it holds pid " + std::to_string(pid) + ", " + *reason;
  }
  // A dying process reads as 0 for a moment; one of another namespace keeps doing so.
  if (listing.unseen == 0) return std::nullopt;
  ::poll(nullptr, 0, 20);
  if (list().unseen == 0) return std::nullopt;
  return "it holds processes of another pid namespace, which cannot be judged from here";
}

std::vector<proc::Stat> CgroupTarget::members(Why why) {
  // Whoever froze it, a killer that died in the middle among them: asked processes must be able to act.
  if (why == Why::ask) {
    cgroup::for_each_group(dir_.get(), [](int group) {
      const Result<std::string> state = cgroup::read_file(group, "cgroup.freeze");
      if (state && *state != "0\n")
        static_cast<void>(cgroup::write_file(group, "cgroup.freeze", "0"));
    });
  }
  std::vector<proc::Stat> all;
  for (const pid_t pid : list().pids) {
    Result<proc::Stat> stat = proc::read_stat(fs_, pid);
    if (stat && !stat->is_dead()) all.push_back(std::move(*stat));
  }
  std::sort(all.begin(), all.end(), [](const proc::Stat& left, const proc::Stat& right) {
    return std::pair(left.start_ticks, left.pid) < std::pair(right.start_ticks, right.pid);
  });
  if (why == Why::ask) note_unreaped(count_unreaped(all));
  return all;
}

// The list of a group leaves zombies out, though each still counts against its pids.max.
std::size_t CgroupTarget::count_unreaped(const std::vector<proc::Stat>& members) const {
  std::set<pid_t> pids;
  for (const proc::Stat& each : members) pids.insert(each.pid);
  std::size_t count = 0;
  for (const proc::Stat& top : members) {
    if (pids.count(top.ppid) != 0) continue;
    for (const proc::Stat& each : proc::descendants(fs_, top.pid)) count += each.is_dead() ? 1 : 0;
  }
  return count;
}

// Read again for each: a number that was freed since the last list is not in this one, or is a member's again.
bool CgroupTarget::belongs(const proc::Stat& now) {
  const std::vector<pid_t> pids = list().pids;
  return std::binary_search(pids.begin(), pids.end(), now.pid);
}

// pids.max only binds where the controller is there and the group is ours.
void CgroupTarget::stop_forks() {
  if (pids_max_) return;
  const Result<std::string> before = cgroup::read_file(dir_.get(), "pids.max");
  if (before && cgroup::write_file(dir_.get(), "pids.max", "0")) pids_max_ = *before;
}

bool CgroupTarget::freeze() {
  if (without().cgroup_freeze) return false;
  if (!cgroup::write_file(dir_.get(), "cgroup.freeze", "1")) return false;
  frozen_ = true;
  for (const Usec end = monotonic_usec() + kFreezeLimit; monotonic_usec() < end;) {
    const Result<std::string> state = cgroup::read_key(dir_.get(), "cgroup.events", "frozen");
    if (!state || *state == "1") return true;
    ::poll(nullptr, 0, 1);
  }
  return true;  // a member hangs in the kernel: the others are still, and it gets its KILL too
}

bool CgroupTarget::end_at_once(Signaller& signaller) {
  const std::vector<proc::Stat> before = members(Why::force);
  stop_forks();
  if (!without().cgroup_kill && cgroup::write_file(dir_.get(), "cgroup.kill", "1")) {
    method_ = "cgroup.kill";
    for (const proc::Stat& each : before) signaller.note(each, SIGKILL);
    return true;
  }
  if (!freeze()) return false;
  method_ = "cgroup.freeze";
  const std::vector<pid_t> still =
      list().pids;  // nobody is born, nobody leaves: one list is enough
  const auto belongs = [&](const proc::Stat& now) {
    return std::binary_search(still.begin(), still.end(), now.pid);
  };
  for (const proc::Stat& each : members(Why::force)) signaller.force(each, belongs);
  let_go();
  return true;
}

void CgroupTarget::let_go() {
  if (frozen_) static_cast<void>(cgroup::write_file(dir_.get(), "cgroup.freeze", "0"));
  if (pids_max_) static_cast<void>(cgroup::write_file(dir_.get(), "pids.max", *pids_max_));
  frozen_ = false;
  pids_max_.reset();
}

std::optional<std::string> CgroupTarget::proof() {
  const Result<bool> left = populated();
  if (!left || *left) return std::nullopt;
  return "cgroup";
}

void CgroupTarget::wait(Usec most) {
  const Result<Fd> events = open_at(dir_.get(), "cgroup.events", O_RDONLY | O_NOFOLLOW);
  if (!events) return Target::wait(std::min(most, kLaterLooks));
  for (Usec look = kFirstLook, end = monotonic_usec() + most;;
       look = std::min(look * 2, kLaterLooks)) {
    pollfd news{events->get(), POLLPRI, 0};
    const Usec left = end - monotonic_usec();
    ::poll(&news, 1, static_cast<int>((std::min(left, look) + 999) / 1000));
    if (left <= look || !populated().value_or(true)) return;
  }
}

}  // namespace gpuctl::kill
