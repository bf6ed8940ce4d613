// SlotGuard: several jobs in one slot whose memory runs out: is this one the job that has to go?
//
// Each job's supervisor asks for itself. All of them see the same groups side by side, read the same numbers and follow
// the same rule (cgroup/slot_memory.hpp), so one of them finds that it is meant. It takes a lock on the slot's directory
// and keeps it until its job has gone: nobody else goes meanwhile, and then there is room again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/cgroup/slot_memory.hpp"

namespace gpuctl::job {

class SlotGuard {
 public:
  // `place` and `group` are the job's and outlive the guard.
  SlotGuard(const HostFs& fs, const cgroup::Place& place, const cgroup::JobGroup& group,
            cgroup::PreemptionPolicy policy, cgroup::Margins margins)
      : fs_(fs), place_(place), group_(group), policy_(policy), margins_(margins) {}

  // The evidence, when this job has to go.
  std::optional<std::string> sentence();

 private:
  std::optional<std::string> judge(const std::vector<cgroup::JobMemory>& jobs) const;
  std::vector<cgroup::JobMemory> read_jobs() const;
  cgroup::SlotMemory read_slot() const;

  const HostFs& fs_;
  const cgroup::Place& place_;
  const cgroup::JobGroup& group_;
  cgroup::PreemptionPolicy policy_;
  cgroup::Margins margins_;
  std::map<std::string, std::uint64_t> used_before_;
  Fd lock_;
};

}  // namespace gpuctl::job
