// Recorded: a job's processes, found by its records: everyone below its init, and everyone who carries its mark. For
// whoever ends a job in place of its supervisor, and for those who left the supervisor's tree.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "gpuctl/kill/target.hpp"
#include "records.hpp"

namespace gpuctl::job {

class Recorded : public kill::Target {
 public:
  // `payload`: nullopt when nothing was started, or all below its init is known to be gone.
  Recorded(const HostFs& fs, const JobRecord& job, std::optional<PayloadRecord> payload)
      : fs_(fs), job_(job), payload_(std::move(payload)) {}

  std::string method() const override { return "records"; }
  std::vector<proc::Stat> members(Why why) override;
  bool belongs(const proc::Stat& now) override;

  // With a pid namespace the death of its init proves the end; else only that two looks found nobody.
  std::optional<std::string> proof() override;
  void wait(Usec most) override;

 private:
  const HostFs& fs_;
  const JobRecord& job_;
  std::optional<PayloadRecord> payload_;
  std::set<pid_t> below_init_;
  unsigned empty_looks_ = 0;
};

}  // namespace gpuctl::job
