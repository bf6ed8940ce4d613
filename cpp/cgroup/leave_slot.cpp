#include "gpuctl/cgroup/leave_slot.hpp"

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/home.hpp"

namespace gpuctl::cgroup {
namespace {

const char* words_for(SlotKind kind) {
  switch (kind) {
    case SlotKind::slurm: return "the Slurm job";
    case SlotKind::htcondor: return "the HTCondor job";
    default: return "the cgroup that gpuctl was started in";
  }
}

// Why it must stay, or empty.
std::string reason_to_stay(const SlotFacts& facts, const ManagerPowers& powers) {
  const std::string slot = words_for(facts.kind);
  if (facts.setting == LeaveSetting::never) return "`--leave-slot=never`";
  if (!facts.limits) return "the limits of " + slot + " cannot be read, so they cannot be kept";
  const ScopeLimits& limits = *facts.limits;
  if ((limits.memory_bytes || limits.swap_bytes) && !powers.memory) {
    return slot +
           " has a memory limit, and systemd may not impose it outside: the user manager has "
           "no `memory` controller (`Delegate=` of user@.service)";
  }
  if (!facts.devices) return "whether " + slot + " has a device filter cannot be told";
  if (facts.devices->is_filtered && !powers.devices)
    return slot + " has a device filter, and a user's systemd cannot impose one";
  return {};
}

// Keeps `value` where the manager can impose it, else notes what is lost.
template <typename Value>
void keep(std::optional<Value>& value, bool power, const char* words, LeaveDecision& decision) {
  if (value && !power) {
    value.reset();
    decision.lost.emplace_back(words);
  }
}

bool names(std::string_view controllers, std::string_view wanted) {
  const std::vector<std::string_view> all = split(controllers, ' ');
  return std::find(all.begin(), all.end(), wanted) != all.end();
}

ManagerPowers powers_of(std::string_view controllers) {
  ManagerPowers powers;
  powers.memory = names(controllers, "memory");
  powers.cpu = names(controllers, "cpu");
  powers.cpuset = names(controllers, "cpuset");
  powers.pids = names(controllers, "pids");
  return powers;
}

}  // namespace

LeaveDecision decide_leaving(const SlotFacts& facts, const ManagerPowers& powers) {
  LeaveDecision decision;
  decision.reason = reason_to_stay(facts, powers);
  if (!decision.reason.empty()) return decision;
  decision.leave = true;
  decision.reason = std::string("what ") + words_for(facts.kind) + " limits is imposed again";
  decision.impose = *facts.limits;
  if (decision.impose.memory_bytes && facts.job_memory_bytes) {
    *decision.impose.memory_bytes =
        std::min(*decision.impose.memory_bytes, *facts.job_memory_bytes + kSupervisorRoomBytes);
  } else if (decision.impose.memory_bytes) {
    decision.takes_all_memory = true;
  }
  if (powers.devices && facts.devices && facts.devices->is_filtered)
    decision.impose.devices = facts.devices->allowed;
  keep(decision.impose.cpu_millis, powers.cpu, "the limit of CPU time", decision);
  keep(decision.impose.cpus, powers.cpuset, "the set of CPUs", decision);
  keep(decision.impose.pids, powers.pids, "the number of processes", decision);
  return decision;
}

// cgroup_namespaces(7): a process outside of ours is shown with a path that begins with `/..`.
bool shares_top(const HostFs& fs) {
  constexpr pid_t kSystemd = 1;
  const Result<Home> home = read_home(fs, kSystemd);
  return home && home->path.substr(0, 3) != "/..";
}

std::optional<ScopeLimits> limits_to_impose(const Limits& limits, bool same_top) {
  const bool unread =
      std::any_of(limits.problems.begin(), limits.problems.end(), [](const Error& each) {
        return each.path.find(host_paths::kCgroupMount) != std::string::npos;
      });
  if (unread || (limits.ancestors_hidden && !same_top)) return std::nullopt;
  const auto least = [&](Resource resource, std::uint64_t unit) -> std::optional<std::uint64_t> {
    const std::optional<Limit> found = limits.least(resource, LimitSource::cgroup);
    return found ? std::optional<std::uint64_t>(found->value / unit) : std::nullopt;
  };
  ScopeLimits impose;
  impose.memory_bytes = least(Resource::memory, 1);
  impose.swap_bytes = least(Resource::swap, 1);
  impose.cpu_millis = least(Resource::cpus, kMicroCpus / 1000);
  impose.pids = least(Resource::pids, 1);
  if (limits.cpuset && limits.cpuset->by != "/") impose.cpus = limits.cpuset->cpus;
  return impose;
}

ManagerPowers read_powers(const HostFs& fs, uid_t uid) {
  const std::string id = std::to_string(uid);
  const std::string group =
      uid == 0 ? "" : "/user.slice/user-" + id + ".slice/user@" + id + ".service";
  const Result<std::string> controllers =
      fs.read_file(std::string(host_paths::kCgroupMount) + group + "/cgroup.controllers");
  ManagerPowers powers = controllers ? powers_of(*controllers) : ManagerPowers{};
  powers.devices = uid == 0;
  return powers;
}

}  // namespace gpuctl::cgroup
