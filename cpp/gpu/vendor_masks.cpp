#include "vendor_masks.hpp"

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu::internal {
namespace {

constexpr std::size_t kFirstRenderMinor = 128;  // DRM: 0 cards, 64 control, 128 render nodes

enum class Entry { taken, unknown, invalid };

void take(Mask& mask, std::size_t candidate) {
  if (std::find(mask.chosen.begin(), mask.chosen.end(), candidate) == mask.chosen.end())
    mask.chosen.push_back(candidate);
}

Entry take_index(Mask& mask, const std::vector<std::size_t>& order, std::size_t index) {
  if (index >= order.size()) return Entry::invalid;
  take(mask, order[index]);
  return Entry::taken;
}

Entry take_uuid(Mask& mask, const Node& node, std::uint16_t vendor, std::string_view entry) {
  const std::vector<std::size_t> found = with_uuid(node.candidates, vendor, entry);
  if (found.size() == 1) {
    take(mask, found.front());
    return Entry::taken;
  }
  if (!found.empty()) return Entry::invalid;  // a prefix of several
  if (to_lower(entry).rfind("gpu-", 0) != 0 || !lacks_uuid(node.candidates, vendor))
    return Entry::invalid;
  mask.unresolved = "a GPU that does not tell its UUID may be `" + printable(entry) + "`";
  return Entry::unknown;
}

Entry take_mig(Mask& mask, const Node& node, std::string_view entry) {
  if (to_lower(entry).rfind("mig-", 0) != 0) return Entry::invalid;
  if (const auto partition = mig_by_instance(node.candidates, entry)) {
    take(mask, *partition);
    return Entry::taken;
  }
  mask.unresolved =
      "the kernel does not tell which partition `" + printable(entry) + "` is; ask `gpuctl probe`";
  return Entry::unknown;
}

Entry take_cuda(Mask& mask, const Node& node, std::string_view entry, bool pci_order) {
  if (const auto index = index_of(entry)) {
    if (pci_order) return take_index(mask, node.orders.cuda, *index);
    mask.unresolved =
        "the GPUs differ, and CUDA's own order is not known; set `CUDA_DEVICE_ORDER=PCI_BUS_ID`";
    return Entry::unknown;
  }
  const Entry by_uuid = take_uuid(mask, node, kVendorNvidia, entry);
  return by_uuid == Entry::invalid ? take_mig(mask, node, entry) : by_uuid;
}

// "CUDA2": the number behind a name that HTCondor gives by index.
std::optional<std::size_t> index_behind(std::string_view entry, std::string_view name) {
  if (entry.substr(0, name.size()) != name) return std::nullopt;
  return index_of(entry.substr(name.size()));
}

Entry take_condor(Mask& mask, const Node& node, std::string_view entry) {
  if (const auto index = index_behind(entry, "CUDA"))
    return take_index(mask, node.orders.cuda, *index);
  for (const char* name : {"HIP", "ROCM"}) {
    if (const auto index = index_behind(entry, name))
      return take_index(mask, node.orders.rocr, *index);
  }
  if (take_uuid(mask, node, kVendorNvidia, entry) == Entry::taken ||
      take_uuid(mask, node, kVendorAmd, entry) == Entry::taken) {
    mask.unresolved.clear();
    return Entry::taken;
  }
  return take_mig(mask, node, entry);
}

// A card that the mask names by some of its tiles only is the slot's in part.
struct Tiles {
  std::vector<std::set<std::size_t>> named;  // by place among the cards
  std::vector<std::size_t> count;
};

Tiles tiles_of(const Node& node) {
  Tiles tiles;
  for (const std::size_t each : node.orders.level_zero) {
    const int count = node.candidates[each].gpu.tiles.value_or(1);
    tiles.count.push_back(static_cast<std::size_t>(std::max(count, 1)));
  }
  tiles.named.resize(tiles.count.size());
  return tiles;
}

void name_all(Tiles& tiles, std::size_t card) {
  for (std::size_t tile = 0; tile < tiles.count[card]; ++tile) tiles.named[card].insert(tile);
}

// FLAT and COMBINED: every tile is a device.
bool name_flat(Tiles& tiles, std::size_t device) {
  for (std::size_t card = 0; card < tiles.count.size(); ++card) {
    if (device < tiles.count[card]) return tiles.named[card].insert(device), true;
    device -= tiles.count[card];
  }
  return false;
}

// COMPOSITE: "1" a card, "1.0" one tile of it.
bool name_composite(Tiles& tiles, std::string_view entry) {
  const std::vector<std::string_view> parts = split(entry, '.');
  const auto card = index_of(parts[0]);
  if (!card || *card >= tiles.count.size() || parts.size() > 2) return false;
  if (parts.size() == 1) return name_all(tiles, *card), true;
  const auto tile = index_of(parts[1]);
  if (!tile || *tile >= tiles.count[*card]) return false;
  tiles.named[*card].insert(*tile);
  return true;
}

// N of /dev/nvidiaN and of /dev/dri/renderDN.
std::optional<std::size_t> number_of_node(const Candidate& candidate) {
  for (const std::string& node : candidate.gpu.device_nodes) {
    for (const std::string& prefix :
         {std::string(host_paths::kNvidiaNode), std::string(host_paths::kDriNodes) + "renderD"}) {
      if (node.compare(0, prefix.size(), prefix) == 0) {
        if (const auto number = index_of(node.substr(prefix.size()))) return number;
      }
    }
  }
  return std::nullopt;
}

// Slurm's devices: whole GPUs and partitions, by the number of their file.
std::vector<std::pair<std::size_t, std::size_t>> files_of(const Node& node, std::uint16_t vendor) {
  std::vector<std::pair<std::size_t, std::size_t>> files;
  for (std::size_t i = 0; i < node.candidates.size(); ++i) {
    const Candidate& each = node.candidates[i];
    if (each.vendor != vendor || each.mig || each.evidence.partitions > 0) continue;
    if (const auto number = number_of_node(each)) files.emplace_back(*number, i);
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Why a number may stand for a device that is not among the files; empty: it cannot.
std::string gap_in_files(const Node& node, std::uint16_t vendor) {
  for (const Candidate& each : node.candidates) {
    if (each.vendor != vendor) continue;
    if (each.mig) return "Slurm numbers MIG instances in its own way";
    const bool counts =
        driver_computes(each) && each.evidence.partitions == 0 && each.gpu.kind != GpuKind::vf;
    if (counts && !number_of_node(each))
      return "the number of `" + each.gpu.id + "`'s device node is not known";
  }
  return {};
}

// "0-3" and "2"
std::optional<std::pair<std::size_t, std::size_t>> range_of(std::string_view entry) {
  const std::vector<std::string_view> ends = split(entry, '-');
  const auto first = index_of(ends.front());
  const auto last = index_of(ends.back());
  if (!first || !last || ends.size() > 2 || *last < *first) return std::nullopt;
  return std::make_pair(*first, *last);
}

}  // namespace

Mask cuda_mask(const Node& node, const std::string& value, const SlotEnv::Value& device_order) {
  Mask mask;
  mask.said = said("CUDA_VISIBLE_DEVICES", value);
  const bool pci_order = device_order == "PCI_BUS_ID" || node.orders.cuda.size() < 2 ||
                         fastest_first_is_pci_order(node.candidates, node.orders);
  for (const std::string_view entry : entries_of(value)) {
    if (take_cuda(mask, node, entry, pci_order) == Entry::invalid) break;
  }
  return mask;
}

Mask rocr_mask(const Node& node, const std::string& value) {
  Mask mask;
  mask.said = said("ROCR_VISIBLE_DEVICES", value);
  for (const std::string_view entry : entries_of(value)) {
    const auto index = index_of(entry);
    const Entry taken = index ? take_index(mask, node.orders.rocr, *index)
                              : take_uuid(mask, node, kVendorAmd, entry);
    if (taken == Entry::invalid) break;
  }
  return mask;
}

Mask hip_mask(const Node& node, const char* name, const std::string& value,
              const std::vector<std::size_t>& agents) {
  Mask mask;
  mask.said = said(name, value);
  for (const std::string_view entry : entries_of(value)) {
    const auto index = index_of(entry);
    const Entry taken =
        index ? take_index(mask, agents, *index) : take_uuid(mask, node, kVendorAmd, entry);
    if (taken == Entry::invalid) break;
  }
  return mask;
}

Mask level_zero_mask(const Node& node, const std::string& value, const SlotEnv::Value& hierarchy) {
  Mask mask;
  mask.said = said("ZE_AFFINITY_MASK", value);
  Tiles tiles = tiles_of(node);
  const bool composite = hierarchy && to_lower(*hierarchy) == "composite";
  for (const std::string_view entry : entries_of(value)) {
    const auto device = index_of(entry);
    const bool named =
        composite ? name_composite(tiles, entry) : device.has_value() && name_flat(tiles, *device);
    if (!named) break;
  }
  for (std::size_t card = 0; card < tiles.named.size(); ++card) {
    if (tiles.named[card].empty()) continue;
    take(mask, node.orders.level_zero[card]);
    if (tiles.named[card].size() < tiles.count[card])
      mask.in_part.insert(node.orders.level_zero[card]);
  }
  return mask;
}

Mask slurm_mask(const Node& node, const char* name, const std::string& value,
                std::uint16_t vendor) {
  Mask mask;
  mask.said = said(name, value);
  const auto files = files_of(node, vendor);
  mask.unresolved = gap_in_files(node, vendor);
  for (const std::string_view entry : entries_of(value)) {
    const auto range = range_of(entry);
    if (!range) break;
    for (std::size_t place = 0; place < files.size(); ++place) {
      const bool by_place = vendor != kVendorNvidia && range->first < kFirstRenderMinor;
      const std::size_t number = by_place ? place : files[place].first;
      if (number >= range->first && number <= range->second) take(mask, files[place].second);
    }
  }
  return mask;
}

Mask condor_mask(const Node& node, const std::string& value) {
  Mask mask;
  mask.said = said("_CONDOR_AssignedGPUs", value);
  std::string entries = value;
  std::replace(entries.begin(), entries.end(), ' ', ',');
  for (const std::string_view entry : entries_of(entries)) {
    if (!entry.empty()) take_condor(mask, node, entry);
  }
  return mask;
}

}  // namespace gpuctl::gpu::internal
