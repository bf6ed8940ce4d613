#include "gpuctl/kill/kill.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "gpuctl/kill/cgroup_target.hpp"

namespace gpuctl::kill {
namespace {

// Every process of a tree is held by a descriptor: for as long as that lasts, as many as the system allows.
class ManyFiles {
 public:
  ManyFiles() {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) return;
    const rlimit most{before_.rlim_max, before_.rlim_max};
    raised_ = ::setrlimit(RLIMIT_NOFILE, &most) == 0;
  }
  ~ManyFiles() {
    if (raised_) ::setrlimit(RLIMIT_NOFILE, &before_);
  }
  ManyFiles(const ManyFiles&) = delete;
  ManyFiles& operator=(const ManyFiles&) = delete;

 private:
  rlimit before_{};
  bool raised_ = false;
};

Report end(const HostFs& fs, Signaller& signaller, Target& target, const Order& order) {
  Engine engine(fs, signaller, target, order.spared);
  Schedule schedule;
  schedule.begin(SIGTERM, order.grace, monotonic_usec());
  return run_to_end(engine, schedule);
}

Failure refuse(std::int64_t pid, const std::string& reason) {
  return fail(ErrorCode::usage, "", "pid " + std::to_string(pid) + ": " + reason);
}

Failure missing(std::int64_t pid) {
  return fail(ErrorCode::not_found, "", "no process " + std::to_string(pid));
}

}  // namespace

Result<Report> end_process(const HostFs& fs, std::int64_t pid, const Order& order) {
  if (const Result<proc::Here> here = proc::read_here(fs); !here) return fail(here.error());
  if (pid < 2 || pid > 0x7fffffff) return refuse(pid, "not a process that a job can have");
  const auto number = static_cast<pid_t>(pid);
  Result<proc::Handle> handle = proc::Handle::open(fs, number);
  if (!handle) {
    const ErrorCode code = handle.error().code;
    if (code == ErrorCode::vanished) return missing(pid);
    if (code != ErrorCode::not_found) return fail(handle.error());
    return handle.error().errno_value == ENOENT ? missing(pid) : refuse(pid, handle.error().detail);
  }
  const Result<proc::Stat> stat = handle->read_stat(fs);
  if (!stat || stat->is_dead()) return missing(pid);
  Signaller signaller(fs, stat->start_ticks);
  if (const std::optional<std::string> reason = signaller.objection(*stat))
    return refuse(pid, *reason);
  // Signal 0 is the question whether we may, and nothing else.
  const Belongs same = [&](const proc::Stat& now) { return now.start_ticks == stat->start_ticks; };
  const Sent may = signaller.send(*stat, 0, same);
  if (may == Sent::refused) return refuse(pid, signaller.refused().back().reason);
  const ManyFiles held;
  PidTree tree(fs, std::move(*handle), *stat);
  return end(fs, signaller, tree, order);
}

Result<Report> end_cgroup(const HostFs& fs, const std::string& path, const Order& order) {
  if (const Result<proc::Here> here = proc::read_here(fs); !here) return fail(here.error());
  Result<CgroupTarget> group = CgroupTarget::open(fs, path);
  if (!group) return fail(group.error());
  Signaller signaller(fs, 0);
  if (const std::optional<std::string> reason = group->objection(signaller))
    return fail(ErrorCode::usage, path, *reason);
  return end(fs, signaller, *group, order);
}

}  // namespace gpuctl::kill
