#include "leave.hpp"

#include <sched.h>
#include <unistd.h>

#include "gpuctl/base/uid_map.hpp"
#include "gpuctl/cgroup/leave_slot.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::job {
namespace {

cgroup::SlotFacts read_facts(const Run& run, const cgroup::Group& group) {
  cgroup::SlotFacts facts;
  facts.kind = group.slot().kind;
  const cgroup::Limits limits =
      cgroup::read_limits(run.fs, group, cgroup::SlotEnv::from(run.spec.environment));
  facts.limits = cgroup::limits_to_impose(limits, cgroup::shares_top(run.fs));
  facts.devices = cgroup::read_devices(run.fs);
  facts.setting = run.spec.leave_slot;
  facts.job_memory_bytes = run.spec.limits.memory_bytes;
  return facts;
}

cgroup::ScopeRequest make_request(const Run& run, const cgroup::ScopeLimits& limits) {
  cgroup::ScopeRequest request;
  request.name = cgroup::scope_name(run.report.id, run.report.nonce);
  request.description = "gpuctl job " + run.report.id;
  request.pids = {::getpid()};
  request.limits = limits;
  return request;
}

// The CPUs that we were bound to stay ours, also where the scope cannot be limited to them: only a slot's cgroup would
// have held the payload to them, the affinity is its to change.
class Affinity {
 public:
  Affinity() { is_known_ = ::sched_getaffinity(0, sizeof cpus_, &cpus_) == 0; }
  void restore() const {
    if (is_known_) ::sched_setaffinity(0, sizeof cpus_, &cpus_);
  }

 private:
  cpu_set_t cpus_{};
  bool is_known_ = false;
};

void say_moved(Run& run, const cgroup::Group& from, const cgroup::Scope& scope,
               const cgroup::LeaveDecision& decision) {
  run.trace.line(LogLevel::info, "left `" + from.path() + "` for the scope `" + scope.name +
                                     "`: " + decision.reason);
  for (const std::string& lost : decision.lost)
    run.report.cgroup->notes.push_back(lost + " of the slot does not hold in the scope");
}

bool is_below(const std::string& path, const std::string& top) {
  return path.compare(0, top.size(), top) == 0 &&
         (path.size() == top.size() || path[top.size()] == '/');
}

// Has a job before us left this slot? Its tether is older than ours. Of two that leave at once both have made theirs when
// they look, so that one of them finds the other.
bool another_has_left(const Run& run, const std::string& slot) {
  const Result<proc::Stat> ours = proc::read_stat(run.fs, run.tether->pid());
  if (!ours) return true;
  for (const pid_t pid : proc::all_pids(run.fs).value_or(std::vector<pid_t>())) {
    const Result<proc::Stat> stat = proc::read_stat(run.fs, pid);
    if (!stat || stat->name != kTetherName || pid == ours->pid) continue;
    const Result<cgroup::Home> home = cgroup::read_home(run.fs, pid);
    if (home && is_below(home->path, slot) &&
        std::pair(stat->start_ticks, pid) < std::pair(ours->start_ticks, ours->pid))
      return true;
  }
  return false;
}

// A move that systemd promised may still come: the tether stays then.
Result<cgroup::Scope> move(Run& run, const cgroup::BusPlaces& places, const std::string& slot,
                           const cgroup::LeaveDecision& decision) {
  Result<Tether> tether = Tether::make();
  if (!tether) return fail(std::move(tether).error());
  run.tether.emplace(std::move(*tether));
  if (decision.takes_all_memory && another_has_left(run, slot)) {
    run.tether.reset();
    return fail(ErrorCode::busy, slot,
                "another job has left it with all of its memory limit, which two must not have: "
                "give each its part with `--memory`");
  }
  Result<cgroup::Scope> scope =
      cgroup::make_scope(run.fs, places, make_request(run, decision.impose));
  if (!scope && scope.error().code != ErrorCode::timeout) run.tether.reset();
  return scope;
}

}  // namespace

Result<cgroup::Place> find_place_in_scope(Run& run) {
  cgroup::BusPlaces places = run.spec.bus;
  places.uid = uid_on_node(run.fs);
  if (const auto buses = cgroup::find_buses(run.fs, places); !buses) return fail(buses.error());
  const Result<cgroup::Group> group = cgroup::Group::of_self(run.fs);
  if (!group) return fail(group.error());
  const cgroup::LeaveDecision decision =
      decide_leaving(read_facts(run, *group), cgroup::read_powers(run.fs, places.uid));
  if (!decision.leave) return fail(ErrorCode::unavailable, group->path(), decision.reason);
  const Affinity affinity;
  const Result<cgroup::Scope> scope = move(run, places, group->slot().path, decision);
  if (!scope) return fail(scope.error());
  if (!decision.impose.cpus) affinity.restore();
  run.report.cgroup->scope = scope->name;
  say_moved(run, *group, *scope, decision);
  return cgroup::find_place(run.fs);
}

}  // namespace gpuctl::job
