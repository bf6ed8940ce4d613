// How each runtime and batch system reads its variable.
#pragma once

#include <cstdint>
#include <vector>

#include "gpuctl/gpu/slot_env.hpp"
#include "mask.hpp"
#include "orders.hpp"

namespace gpuctl::gpu::internal {

struct Node {
  const std::vector<Candidate>& candidates;
  const RuntimeOrders& orders;
};

// CUDA reads up to the first entry that is no device of its own.
Mask cuda_mask(const Node& node, const std::string& value, const SlotEnv::Value& device_order);

Mask rocr_mask(const Node& node, const std::string& value);

// Counts what ROCR_VISIBLE_DEVICES left, which is `agents`.
Mask hip_mask(const Node& node, const char* name, const std::string& value,
              const std::vector<std::size_t>& agents);

Mask level_zero_mask(const Node& node, const std::string& value, const SlotEnv::Value& hierarchy);

// Numbers of device files: N of /dev/nvidiaN, of /dev/dri/renderDN, or the place among the latter. One vendor only.
Mask slurm_mask(const Node& node, const char* name, const std::string& value, std::uint16_t vendor);

// NVIDIA and AMD together: HTCondor counts all that it detected.
Mask condor_mask(const Node& node, const std::string& value);

}  // namespace gpuctl::gpu::internal
