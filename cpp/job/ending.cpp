#include "gpuctl/job/ending.hpp"

namespace gpuctl::job {

void Ending::begin(const KillReason* reason, std::string detail, int first_signal, Usec grace,
                   Usec now) {
  // What the payload left behind may be ended already when somebody wants an end for a reason.
  if (reason_ == nullptr && reason != nullptr) {
    reason_ = reason;
    detail_ = std::move(detail);
  }
  Schedule::begin(first_signal, grace, now);
}

}  // namespace gpuctl::job
