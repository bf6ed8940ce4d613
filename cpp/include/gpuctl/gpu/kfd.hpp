// The KFD topology (/sys/class/kfd/kfd/topology/nodes): AMD's compute driver, and which GPUs it can
// use.
//
// One node is one CPU socket or one compute partition. In CPX mode one card is several nodes, whose
// location_id has function numbers that are no PCI functions: facts of a card are those of its
// nodes together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/pci_address.hpp"
#include "gpuctl/gpu/problem.hpp"

namespace gpuctl::gpu {

// An io_link of type xGMI to another node.
struct KfdLink {
  unsigned to = 0;
  unsigned hops = 1;
  std::optional<std::uint64_t> bandwidth_bytes_per_s;
};

struct KfdNode {
  unsigned number = 0;
  PciAddress address;      // as KFD says
  unsigned partition = 0;  // of the card, where location_id tells it apart from the address
  std::uint16_t device = 0;
  std::optional<std::string> isa;        // by gfx_target_version; absent on old kernels
  std::optional<std::string> unique_id;  // hexadecimal, as in the PCI function's file
  std::optional<std::uint64_t> memory_bytes;
  std::optional<unsigned> render_minor;
  std::optional<int> compute_units;
  std::optional<std::vector<KfdLink>> links;  // empty: the node does not say how many it has
  bool has_cpu_cores = false;                 // one node with the processor: an APU of before 2020
};

// The nodes of one card, by number: more than one are its partitions. `address` of each is the card's.
struct KfdCard {
  std::vector<KfdNode> nodes;

  const KfdNode& first() const { return nodes.front(); }
};

struct KfdTopology {
  bool present = false;        // KFD is loaded (or was recorded)
  std::vector<KfdNode> nodes;  // GPU nodes only, by number

  // `functions`: the PCI functions that are GPUs. A function number of KFD that is none of these is a partition of the
  // card in the slot. Two nodes that claim one place with two unique ids are two cards, whose domain an old kernel does
  // not tell.
  std::vector<KfdCard> cards(const std::vector<PciAddress>& functions) const;
};

// Nodes that the device cgroup hides (EPERM) are left out: they are none of this slot's.
KfdTopology read_kfd(const HostFs& fs, ProblemSink& problems);

// A node's `properties`, without its memory; nullopt for a processor.
std::optional<KfdNode> parse_kfd_properties(unsigned number, std::string_view text);

// An io_link's `properties`; nullopt for one that is not xGMI: PCI, or to memory.
std::optional<KfdLink> parse_kfd_link(std::string_view text);

// 90010 -> "gfx90a": major * 10000 + minor * 100 + stepping, the stepping printed in hexadecimal.
std::optional<std::string> isa_of_target_version(std::uint64_t version);

}  // namespace gpuctl::gpu
