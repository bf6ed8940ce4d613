// Request: which units are wanted, how long to wait for them, and for whom.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/gpu/match.hpp"
#include "gpuctl/lease/lease.hpp"

namespace gpuctl::lease {

// All units of one request have this in common. `link`: each is linked to each, directly and not over PCI.
enum class Together { anywhere, numa_node, link };

struct Request {
  gpu::Wish wish;                    // kind and number
  std::vector<std::string> only;     // if any: these ids and no others
  std::vector<std::string> exclude;  // ids
  Together together = Together::anywhere;
  bool even_drained = false;          // to check it; for those who may drain
  bool allow_integrated = false;      // also where the wish names no model
  std::optional<int> near_numa_node;  // where the slot's CPUs are

  std::optional<JobName> job;
  std::string command;
  std::optional<Usec> expires_in;
};

// The GPUs of this node as they are now. Asked again at each attempt: a card may have come or gone meanwhile.
using SharedGpus = std::shared_ptr<const std::vector<gpu::Gpu>>;
using Node = std::function<Result<SharedGpus>()>;

// How long a request waits for its turn, and what else the caller listens to meanwhile.
struct Patience {
  std::optional<Usec> wait;  // nullopt: not at all
  std::vector<int> also;     // descriptors; when one is readable or a signal came, `stop` is asked
  std::function<bool()> stop;  // true: give up with ErrorCode::unavailable
};

}  // namespace gpuctl::lease
