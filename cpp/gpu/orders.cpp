// How the runtimes count. CUDA: by PCI address under CUDA_DEVICE_ORDER=PCI_BUS_ID, else by a speed that nobody
// documents. ROCr: by KFD node. Level Zero: discrete cards before integrated ones, then by PCI address. All leave out
// what they cannot open, which is how a device cgroup renumbers GPUs (flux-framework/flux-core issue 4534).
#include "orders.hpp"

#include <algorithm>

namespace gpuctl::gpu::internal {
namespace {

bool may_open_nodes(const Candidate& candidate) {
  return candidate.evidence.missing_nodes.empty() && candidate.evidence.forbidden_nodes.empty();
}

bool has_node(const Candidate& candidate) { return candidate.evidence.missing_nodes.empty(); }

bool works(const Candidate& candidate) {
  return driver_computes(candidate) && !candidate.evidence.config_all_ones &&
         !candidate.evidence.excluded_by_driver && candidate.evidence.identity_gap.empty();
}

bool is_cuda_device(const Candidate& each) {
  return each.vendor == kVendorNvidia && each.gpu.kind == GpuKind::gpu && works(each);
}

bool is_level_zero_device(const Candidate& each) {
  return each.vendor == kVendorIntel && each.gpu.kind == GpuKind::gpu && works(each);
}

// Nodes that nobody has made yet (nvidia-modprobe makes them when they are needed) hide no GPU; those of some GPUs
// that are missing beside others were left out on purpose, as containers do.
template <typename Predicate>
std::vector<std::size_t> seen_by(const std::vector<Candidate>& candidates, Predicate predicate) {
  std::vector<std::size_t> found;
  bool any_node = false;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (!predicate(candidates[i])) continue;
    found.push_back(i);
    any_node = any_node || has_node(candidates[i]);
  }
  const auto is_hidden = [&](std::size_t i) {
    return any_node ? !may_open_nodes(candidates[i])
                    : !candidates[i].evidence.forbidden_nodes.empty();
  };
  found.erase(std::remove_if(found.begin(), found.end(), is_hidden), found.end());
  return found;
}

}  // namespace

RuntimeOrders runtime_orders(const std::vector<Candidate>& candidates) {
  RuntimeOrders orders;
  orders.cuda = seen_by(candidates, is_cuda_device);
  orders.rocr = seen_by(
      candidates, [](const Candidate& each) { return each.kfd_number.has_value() && works(each); });
  std::sort(orders.rocr.begin(), orders.rocr.end(), [&](std::size_t a, std::size_t b) {
    return *candidates[a].kfd_number < *candidates[b].kfd_number;
  });
  orders.level_zero = seen_by(candidates, is_level_zero_device);
  std::stable_sort(orders.level_zero.begin(), orders.level_zero.end(),
                   [&](std::size_t a, std::size_t b) {
                     return !candidates[a].gpu.integrated && candidates[b].gpu.integrated;
                   });
  return orders;
}

bool fastest_first_is_pci_order(const std::vector<Candidate>& candidates,
                                const RuntimeOrders& orders) {
  return std::all_of(orders.cuda.begin(), orders.cuda.end(), [&](std::size_t i) {
    const Candidate& first = candidates[orders.cuda.front()];
    return candidates[i].device && candidates[i].device == first.device &&
           candidates[i].gpu.subsystem_id == first.gpu.subsystem_id;
  });
}

void number_devices(std::vector<Candidate>& candidates, const RuntimeOrders& orders) {
  const bool one_model = orders.cuda.size() == 1 || fastest_first_is_pci_order(candidates, orders);
  for (std::size_t place = 0; place < orders.cuda.size(); ++place) {
    Candidate& each = candidates[orders.cuda[place]];
    if (each.evidence.partitions > 0) continue;  // CUDA shows its partitions, not the GPU
    each.gpu.orders.cuda = static_cast<int>(place);
    if (one_model) each.gpu.orders.cuda_fastest_first = static_cast<int>(place);
  }
  for (std::size_t place = 0; place < orders.rocr.size(); ++place)
    candidates[orders.rocr[place]].gpu.orders.rocr = static_cast<int>(place);
  int tiles = 0;
  for (std::size_t place = 0; place < orders.level_zero.size(); ++place) {
    Candidate& each = candidates[orders.level_zero[place]];
    each.gpu.orders.level_zero = static_cast<int>(place);
    each.gpu.orders.level_zero_flat = tiles;
    tiles += each.gpu.tiles.value_or(1);
  }
}

}  // namespace gpuctl::gpu::internal
