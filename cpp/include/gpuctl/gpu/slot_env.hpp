// SlotEnv: what a batch system told this slot about its GPUs, in environment variables.
//
// A plain value. `app` and the bindings read the environment once and hand it in here; nothing in this room reads it.
// A variable that is absent says nothing; one that is there and empty says "none".
//
//   SlotEnv slot = make_slot_env([&](const std::string& name) { return environment.find(name); });
//
// Sources: CUDA C++ programming guide (CUDA environment variables), ROCm documentation (GPU isolation), Level Zero
// specification (environment variables), srun(1) (output environment), HTCondor manual (_CONDOR_AssignedGPUs).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace gpuctl::gpu {

struct SlotEnv {
  using Value = std::optional<std::string>;

  Value cuda_visible_devices;
  Value cuda_device_order;  // PCI_BUS_ID or FASTEST_FIRST
  Value rocr_visible_devices;
  Value hip_visible_devices;
  Value gpu_device_ordinal;  // as HIP_VISIBLE_DEVICES, also for OpenCL
  Value ze_affinity_mask;
  Value ze_flat_device_hierarchy;  // FLAT (where absent), COMPOSITE or COMBINED
  Value slurm_job_gpus;
  Value slurm_step_gpus;
  Value condor_assigned_gpus;
};

// The variables that a SlotEnv is made of.
const std::vector<std::string>& slot_variables();

// `find` gives a variable's value, or nullopt where it is absent.
SlotEnv make_slot_env(const std::function<SlotEnv::Value(const std::string&)>& find);

}  // namespace gpuctl::gpu
