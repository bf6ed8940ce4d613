// The orders in which the vendors' runtimes count the GPUs of this node.
#pragma once

#include <cstddef>
#include <vector>

#include "candidate.hpp"

namespace gpuctl::gpu::internal {

// Indices into the candidates, each in the order of one runtime, as far as this process may open their nodes.
struct RuntimeOrders {
  std::vector<std::size_t> cuda;        // PCI_BUS_ID; partitioned GPUs keep their place
  std::vector<std::size_t> rocr;        // KFD nodes by number
  std::vector<std::size_t> level_zero;  // cards: discrete ones first
};

// `candidates` are sorted by address.
RuntimeOrders runtime_orders(const std::vector<Candidate>& candidates);

// Writes Gpu::orders, but for `hip`, which depends on the slot's ROCR_VISIBLE_DEVICES.
void number_devices(std::vector<Candidate>& candidates, const RuntimeOrders& orders);

// Whether CUDA's fastest-first is known: all GPUs are of one model, or there is one only.
bool fastest_first_is_pci_order(const std::vector<Candidate>& candidates,
                                const RuntimeOrders& orders);

}  // namespace gpuctl::gpu::internal
