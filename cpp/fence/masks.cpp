#include "gpuctl/fence/masks.hpp"

#include <algorithm>
#include <functional>
#include <optional>

namespace gpuctl::fence {
namespace {

constexpr const char* kNoCudaDevice =
    "-1";  // not a device: CUDA and ROCr stop reading the list there
constexpr const char* kNoLevelZeroDevice = "65535";  // an index that no node has is skipped

using Naming = std::function<std::optional<std::string>(const gpu::Gpu&)>;

std::vector<const gpu::Gpu*> of_vendor(const std::vector<gpu::Gpu>& gpus,
                                       const std::string& vendor) {
  std::vector<const gpu::Gpu*> found;
  for (const gpu::Gpu& gpu : gpus) {
    if (gpu.vendor == vendor) found.push_back(&gpu);
  }
  return found;
}

// As the runtime counts it; where that is not known, the place among the vendor's GPUs.
std::string index_of(const gpu::Gpu& gpu, const std::vector<const gpu::Gpu*>& order) {
  const std::optional<int> known = gpu.vendor == "nvidia" ? gpu.orders.cuda
                                   : gpu.vendor == "amd"  ? gpu.orders.rocr
                                                          : gpu.orders.level_zero;
  if (known) return std::to_string(*known);
  const auto same = [&](const gpu::Gpu* each) { return each->id == gpu.id; };
  return std::to_string(std::find_if(order.begin(), order.end(), same) - order.begin());
}

struct Mask {
  std::string value;
  bool by_index = false;
};

// Names for all, or indices for all: the runtimes do not take a mixture.
Mask mask_of(const std::vector<gpu::Gpu>& node, const std::vector<gpu::Gpu>& assigned,
             const std::string& vendor, const Naming& name, const std::string& none) {
  const std::vector<const gpu::Gpu*> wanted = of_vendor(assigned, vendor);
  const std::vector<const gpu::Gpu*> order = of_vendor(node, vendor);
  if (wanted.empty()) return {none, false};
  const bool named = std::all_of(wanted.begin(), wanted.end(),
                                 [&](const gpu::Gpu* gpu) { return name(*gpu).has_value(); });
  Mask mask{"", !named};
  for (const gpu::Gpu* gpu : wanted) {
    if (!mask.value.empty()) mask.value += ",";
    mask.value += named ? *name(*gpu) : index_of(*gpu, order);
  }
  return mask;
}

// The kernel tells no UUID of a MIG instance, and CUDA's indices count whole GPUs.
std::optional<std::string> nvidia_name(const gpu::Gpu& gpu) {
  return gpu.uuid ? gpu.uuid : gpu.mig_name;
}

// The partitions of a card may all bear its unique id: then it names none of them.
std::optional<std::string> amd_name(const gpu::Gpu& gpu, const std::vector<gpu::Gpu>& node) {
  if (!gpu.unique_id) return std::nullopt;
  const auto namesake = [&](const gpu::Gpu& each) {
    return each.id != gpu.id && each.unique_id == gpu.unique_id && each.orders.rocr;
  };
  if (std::any_of(node.begin(), node.end(), namesake)) return std::nullopt;
  return "GPU-" + *gpu.unique_id;
}

}  // namespace

Variables mask_variables(const std::vector<gpu::Gpu>& node, const std::vector<gpu::Gpu>& assigned) {
  const Mask nvidia = mask_of(node, assigned, "nvidia", nvidia_name, kNoCudaDevice);
  const Mask amd = mask_of(
      node, assigned, "amd", [&](const gpu::Gpu& gpu) { return amd_name(gpu, node); },
      kNoCudaDevice);
  const Mask intel = mask_of(
      node, assigned, "intel", [](const gpu::Gpu&) { return std::nullopt; }, kNoLevelZeroDevice);
  return {{"CUDA_VISIBLE_DEVICES", nvidia.value},
          {"CUDA_DEVICE_ORDER", nvidia.by_index ? "PCI_BUS_ID" : ""},
          {"ROCR_VISIBLE_DEVICES", amd.value},
          {"ZE_AFFINITY_MASK", intel.value},
          {"ZE_ENABLE_PCI_ID_DEVICE_ORDER", intel.by_index ? "1" : ""},
          {"NVIDIA_VISIBLE_DEVICES", ""},
          {"HIP_VISIBLE_DEVICES", ""},
          {"GPU_DEVICE_ORDINAL", ""}};
}

}  // namespace gpuctl::fence
