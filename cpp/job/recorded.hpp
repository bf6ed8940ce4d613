// Recorded: a job's processes, found by its records: everyone below its init, everyone in its own cgroup, and everyone
// who carries its mark. For
// whoever ends a job in place of its supervisor, and for those who left the supervisor's tree.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gpuctl/kill/cgroup_target.hpp"
#include "gpuctl/kill/target.hpp"
#include "records.hpp"

namespace gpuctl::job {

class Recorded : public kill::Target {
 public:
  // `payload`: nullopt when nothing was started, or all below its init is known to be gone.
  Recorded(const HostFs& fs, const JobRecord& job, std::optional<PayloadRecord> payload);

  std::string method() const override;
  std::vector<proc::Stat> members(Why why) override;
  bool belongs(const proc::Stat& now) override;

  // The death of the namespace's init proves the end, or that its own cgroup is empty; else only that two looks found
  // nobody.
  bool end_at_once(kill::Signaller& signaller) override;
  void let_go() override;
  std::optional<std::string> proof() override;
  void wait(Usec most) override;

 private:
  const HostFs& fs_;
  const JobRecord& job_;
  std::optional<PayloadRecord> payload_;
  std::unique_ptr<kill::CgroupTarget> group_;  // the job's own, if it still is the one on record
  bool ended_at_once_ = false;
  std::set<pid_t> below_init_;
  unsigned empty_looks_ = 0;
};

}  // namespace gpuctl::job
