// Ending: the schedule of a job's end, and why it ends. A second request never changes the reason.
#pragma once

#include <string>

#include "gpuctl/job/kill_reason.hpp"
#include "gpuctl/kill/schedule.hpp"

namespace gpuctl::job {

class Ending : public kill::Schedule {
 public:
  // nullptr: the payload ended by itself and only what it left behind is ended.
  const KillReason* reason() const { return reason_; }
  const std::string& detail() const { return detail_; }

  void begin(const KillReason* reason, std::string detail, int first_signal, Usec grace, Usec now);

 private:
  const KillReason* reason_ = nullptr;
  std::string detail_;
};

}  // namespace gpuctl::job
