// Cards that only /sys/class/drm shows: a recording of that folder alone, a container that hides
// the PCI bus.
//
// A card of a PCI function needs no search: its minors are directories of the function (see
// PciDetails::drm_names).
#pragma once

#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {

struct DrmCard {
  std::string name;  // "card0"
  PciIdentity identity;
  PciDetails details;
};

// The cards whose device is a PCI device that is not among `known`. Connectors ("card0-VGA-1") and
// cards of other buses (platform, virtual) are no cards here.
std::vector<DrmCard> read_orphan_cards(const HostFs& fs, const std::vector<PciAddress>& known,
                                       ProblemSink& problems);

// What the minors "card1", "renderD128" are called in /dev.
struct DrmNodes {
  std::vector<std::string> render;
  std::vector<std::string> cards;
};

DrmNodes drm_nodes(const std::vector<std::string>& drm_names);

}  // namespace gpuctl::gpu
