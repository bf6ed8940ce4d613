// What the slot may use: the batch system's masks, and the device nodes that may be opened.
#pragma once

#include <vector>

#include "candidate.hpp"
#include "gpuctl/gpu/slot_env.hpp"
#include "orders.hpp"

namespace gpuctl::gpu::internal {

// Writes Gpu::allotted, its reasons, and Gpu::orders.hip. What a mask says cannot be told from the kernel's files
// alone is not allotted: a GPU too few is better than another job's GPU.
void allot(std::vector<Candidate>& candidates, const RuntimeOrders& orders, const SlotEnv& slot);

}  // namespace gpuctl::gpu::internal
