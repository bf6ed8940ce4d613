// Links: which GPUs reach each other directly and not over PCI, and which of several linked ones a request gets.
//
// Two that are linked should go to one job, and a job of one should not part them. Where links differ (MI250X: 4, 2 or 1
// between two GPUs) the strongest ones stay together.
#pragma once

#include <vector>

#include "gpuctl/gpu/gpu.hpp"

namespace gpuctl::lease::internal {

using Gpus = std::vector<const gpu::Gpu*>;

// 0: none that is direct; else its bandwidth in GB/s, and 1 where that is not known.
unsigned link_strength(const gpu::Gpu& a, const gpu::Gpu& b);

// Those that links join, directly or through others of `gpus`; one alone is an island of one. In the order of `gpus`.
std::vector<Gpus> islands_of(const Gpus& gpus);

// `count` of `members`: the fewest that are not `wanted`, then the most strength among them and the least to those that
// stay behind, then the fewest NUMA nodes, broken into the least. `all_linked`: each to each, or none at all.
Gpus best_linked(const Gpus& members, std::size_t count, bool all_linked, const Gpus& wanted);

}  // namespace gpuctl::lease::internal
