// Environment masks: what tells the vendors' runtimes which GPUs to use. Advice, not a fence: a payload can set them
// anew. Exactly one mask per vendor, and everything inherited from the slot is replaced, because masks compose
// (HIP_VISIBLE_DEVICES counts within ROCR_VISIBLE_DEVICES).
//
//   NVIDIA  CUDA_VISIBLE_DEVICES   UUIDs, of MIG instances MIG-<UUID of the GPU>/<GI>/<CI>; else indices, with
//                                  CUDA_DEVICE_ORDER=PCI_BUS_ID to make them right
//   AMD     ROCR_VISIBLE_DEVICES   GPU-<unique id>; else indices as ROCr counts (Gpu::orders)
//   Intel   ZE_AFFINITY_MASK       indices, with ZE_ENABLE_PCI_ID_DEVICE_ORDER=1
//
// A vendor of which the job has no GPU gets a mask that selects none.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gpuctl/gpu/gpu.hpp"

namespace gpuctl::fence {

// Name and value; an empty value removes the variable.
using Variables = std::vector<std::pair<std::string, std::string>>;

// `node`: all GPUs of the node, sorted as the inventory has them; `assigned`: those of the job.
Variables mask_variables(const std::vector<gpu::Gpu>& node, const std::vector<gpu::Gpu>& assigned);

}  // namespace gpuctl::fence
