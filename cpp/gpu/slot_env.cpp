#include "gpuctl/gpu/slot_env.hpp"

#include <array>

namespace gpuctl::gpu {
namespace {

struct Variable {
  const char* name;
  SlotEnv::Value SlotEnv::* member;
};

constexpr std::array<Variable, 10> kVariables{{
    {"CUDA_VISIBLE_DEVICES", &SlotEnv::cuda_visible_devices},
    {"CUDA_DEVICE_ORDER", &SlotEnv::cuda_device_order},
    {"ROCR_VISIBLE_DEVICES", &SlotEnv::rocr_visible_devices},
    {"HIP_VISIBLE_DEVICES", &SlotEnv::hip_visible_devices},
    {"GPU_DEVICE_ORDINAL", &SlotEnv::gpu_device_ordinal},
    {"ZE_AFFINITY_MASK", &SlotEnv::ze_affinity_mask},
    {"ZE_FLAT_DEVICE_HIERARCHY", &SlotEnv::ze_flat_device_hierarchy},
    {"SLURM_JOB_GPUS", &SlotEnv::slurm_job_gpus},
    {"SLURM_STEP_GPUS", &SlotEnv::slurm_step_gpus},
    {"_CONDOR_AssignedGPUs", &SlotEnv::condor_assigned_gpus},
}};

}  // namespace

const std::vector<std::string>& slot_variables() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Variable& each : kVariables) all.emplace_back(each.name);
    return all;
  }();
  return names;
}

SlotEnv make_slot_env(const std::function<SlotEnv::Value(const std::string&)>& find) {
  SlotEnv slot;
  for (const Variable& each : kVariables) slot.*each.member = find(each.name);
  return slot;
}

}  // namespace gpuctl::gpu
