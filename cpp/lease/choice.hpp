// Choice: which units a request gets of those that are free now.
//
// All together or none. Healthy and idle ones first, then those near the slot's CPUs, then several from a group that links
// join (links.hpp) and a single from none of these, then from the group (links, NUMA node, or the GPU that partitions
// share) in which the fewest stay behind, so that a free pair is not broken for a single; then by PCI address.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/lease/drain.hpp"
#include "gpuctl/lease/request.hpp"

namespace gpuctl::lease::internal {

struct Choice {
  std::vector<const gpu::Gpu*> chosen;  // of the node that was given; empty: not enough
  bool possible = false;                // were all of them free
  // Where nothing was chosen: ids that would do, taken ones too; best first.
  std::vector<std::string> candidates;
  std::vector<std::pair<std::string, std::string>>
      rejected;  // id and why, of each that is no candidate
};

// `taken`: units that are given away or promised to those who came earlier.
Choice choose(const Request& request, const std::vector<gpu::Gpu>& node,
              const std::vector<Unit>& taken, const std::vector<Drain>& drains);

}  // namespace gpuctl::lease::internal
