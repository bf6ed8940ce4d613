// Every mask that is set must leave a GPU in: batch systems set several, and the narrowest one is the truth.
#include "allotment.hpp"

#include <algorithm>
#include <functional>

#include "mask.hpp"
#include "vendor_masks.hpp"

namespace gpuctl::gpu::internal {
namespace {

void refuse(Gpu& gpu, const char* code, std::string detail) {
  gpu.allotted = false;
  gpu.allotment_reasons.push_back({code, std::move(detail)});
}

class Allotter {
 public:
  Allotter(std::vector<Candidate>& candidates, const RuntimeOrders& orders, const SlotEnv& slot)
      : candidates_(candidates), node_{candidates, orders}, slot_(slot) {}

  void run() {
    apply_nodes();
    apply_cuda();
    apply_rocm();
    if (slot_.ze_affinity_mask) {
      apply(level_zero_mask(node_, *slot_.ze_affinity_mask, slot_.ze_flat_device_hierarchy),
            [](const Candidate& each) { return each.vendor == kVendorIntel; });
    }
    apply_slurm();
    if (slot_.condor_assigned_gpus) {
      apply(condor_mask(node_, *slot_.condor_assigned_gpus),
            [](const Candidate& each) { return each.vendor != kVendorIntel; });
    }
  }

 private:
  using Concerns = std::function<bool(const Candidate&)>;

  // access(2) obeys the device cgroup, and does not wake the card as open(2) would.
  void apply_nodes() {
    for (Candidate& each : candidates_) {
      const std::vector<std::string>& forbidden = each.evidence.forbidden_nodes;
      if (!forbidden.empty())
        refuse(each.gpu, "node_forbidden", "`" + forbidden.front() + "` may not be opened");
    }
  }

  // Who has the whole GPU has its partitions.
  bool is_chosen(const Mask& mask, std::size_t candidate) const {
    const std::optional<std::string>& parent = candidates_[candidate].gpu.parent_id;
    const bool is_partition = candidates_[candidate].gpu.kind == GpuKind::partition;
    return std::any_of(mask.chosen.begin(), mask.chosen.end(), [&](std::size_t each) {
      return each == candidate || (is_partition && parent == candidates_[each].gpu.id);
    });
  }

  void apply(const Mask& mask, const Concerns& concerns) {
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
      Gpu& gpu = candidates_[i].gpu;
      if (!concerns(candidates_[i])) continue;
      if (mask.in_part.count(i) != 0) {
        refuse(gpu, "mask_in_part", mask.said + " gives only a part of it");
      } else if (!is_chosen(mask, i) && mask.unresolved.empty()) {
        refuse(gpu, "mask", mask.said + " leaves it out");
      } else if (!is_chosen(mask, i)) {
        refuse(gpu, "mask_unresolved", mask.said + ": " + mask.unresolved);
      }
    }
  }

  void apply_cuda() {
    if (!slot_.cuda_visible_devices) return;
    apply(cuda_mask(node_, *slot_.cuda_visible_devices, slot_.cuda_device_order),
          [](const Candidate& each) { return each.vendor == kVendorNvidia; });
  }

  bool has_vendor(std::uint16_t vendor) const {
    return std::any_of(candidates_.begin(), candidates_.end(),
                       [&](const Candidate& each) { return each.vendor == vendor; });
  }

  // HIP takes CUDA_VISIBLE_DEVICES for its own where that is not set; beside NVIDIA's GPUs it is meant for those.
  void apply_rocm() {
    const Concerns amd = [](const Candidate& each) { return each.vendor == kVendorAmd; };
    std::vector<std::size_t> agents = node_.orders.rocr;
    if (slot_.rocr_visible_devices) {
      const Mask mask = rocr_mask(node_, *slot_.rocr_visible_devices);
      apply(mask, amd);
      agents = mask.chosen;
    }
    for (std::size_t place = 0; place < agents.size(); ++place)
      candidates_[agents[place]].gpu.orders.hip = static_cast<int>(place);
    const bool alias = !slot_.hip_visible_devices && !has_vendor(kVendorNvidia);
    apply_hip("HIP_VISIBLE_DEVICES", slot_.hip_visible_devices, agents, amd);
    apply_hip("GPU_DEVICE_ORDINAL", slot_.gpu_device_ordinal, agents, amd);
    if (alias) apply_hip("CUDA_VISIBLE_DEVICES", slot_.cuda_visible_devices, agents, amd);
  }

  void apply_hip(const char* name, const SlotEnv::Value& value,
                 const std::vector<std::size_t>& agents, const Concerns& amd) {
    if (value) apply(hip_mask(node_, name, *value, agents), amd);
  }

  // Slurm's numbers do not say whose they are. The masks that it sets beside them do, else the only vendor here.
  std::vector<std::uint16_t> vendors_of_slurm() const {
    std::vector<std::uint16_t> said;
    if (slot_.cuda_visible_devices && has_vendor(kVendorNvidia)) said.push_back(kVendorNvidia);
    if (slot_.rocr_visible_devices && has_vendor(kVendorAmd)) said.push_back(kVendorAmd);
    if (slot_.ze_affinity_mask && has_vendor(kVendorIntel)) said.push_back(kVendorIntel);
    if (said.size() == 1) return said;
    std::vector<std::uint16_t> here;
    for (const std::uint16_t vendor : {kVendorNvidia, kVendorAmd, kVendorIntel}) {
      const auto counts = [&](const Candidate& each) {
        return each.vendor == vendor && !each.gpu.integrated && driver_computes(each);
      };
      if (std::any_of(candidates_.begin(), candidates_.end(), counts)) here.push_back(vendor);
    }
    return here;
  }

  void apply_slurm() {
    const bool step = slot_.slurm_step_gpus.has_value();
    const SlotEnv::Value& value = step ? slot_.slurm_step_gpus : slot_.slurm_job_gpus;
    if (!value) return;
    const char* name = step ? "SLURM_STEP_GPUS" : "SLURM_JOB_GPUS";
    const std::vector<std::uint16_t> vendors = vendors_of_slurm();
    Mask mask;
    if (vendors.size() == 1) {
      mask = slurm_mask(node_, name, *value, vendors.front());
    } else {
      mask.said = said(name, *value);
      if (vendors.size() > 1) mask.unresolved = "it does not say which vendor's GPUs it counts";
    }
    apply(mask, [](const Candidate& each) { return !each.gpu.integrated; });
  }

  std::vector<Candidate>& candidates_;
  Node node_;
  const SlotEnv& slot_;
};

}  // namespace

void allot(std::vector<Candidate>& candidates, const RuntimeOrders& orders, const SlotEnv& slot) {
  Allotter(candidates, orders, slot).run();
}

}  // namespace gpuctl::gpu::internal
