// A GPU while its sources are being joined: the record so far, and the evidence that judges its
// health.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/catalogue.hpp"
#include "gpuctl/gpu/drm.hpp"
#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/gpu/kfd.hpp"
#include "gpuctl/gpu/mig.hpp"
#include "gpuctl/gpu/nvidia_proc.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu::internal {

enum class NodeState { unknown, ok, missing, forbidden };

struct Evidence {
  std::string identity_gap;  // what of class, vendor and device is not known; empty: all are
  bool driver_known = true;
  bool config_all_ones = false;
  bool has_drm_card = false;  // so some driver is bound, whatever the link says
  bool excluded_by_driver = false;
  bool kfd_known = false;  // KFD was looked for and would be seen
  bool in_kfd = false;
  bool off_the_bus = false;        // its driver lists it, the PCI bus does not
  bool address_shared = false;     // KFD lists several cards at its address
  bool survivability = false;      // xe: only its firmware can be repaired
  std::size_t partitions = 0;      // that it is divided into
  std::vector<ErrorCount> errors;  // that the hardware counted
  std::vector<std::string> missing_nodes;
  std::vector<std::string> missing_shared_nodes;
  std::vector<std::string> forbidden_nodes;
};

struct Candidate {
  Gpu gpu;
  std::uint16_t vendor = 0;
  std::optional<std::uint16_t> device;
  std::optional<std::uint8_t> revision;
  bool integrated_by_place = false;
  std::vector<std::string> driver_names;  // what the driver calls the card
  std::optional<unsigned> kfd_number;     // of its node, where it has one of its own
  std::optional<std::vector<KfdLink>> kfd_links;
  std::optional<unsigned> nvidia_minor;  // of /dev/nvidia<minor>
  std::optional<MigInstance> mig;
  Evidence evidence;
};

// One function each: what a source knows becomes part of the record.
Candidate candidate_of_function(const PciFunction& function);
Candidate candidate_of_broken(const BrokenFunction& broken, std::uint16_t vendor);
Candidate candidate_of_drm_card(const DrmCard& card);
Candidate candidate_of_nvidia_proc(const NvidiaProcGpu& found);
Candidate candidate_of_kfd(const KfdNode& node, const PciAddress& address);
Candidate candidate_of_mig(const Candidate& parent, const MigInstance& instance);
Candidate candidate_of_partition(const Candidate& parent, const std::string& mode,
                                 const KfdNode& node);

// The partitions of a card that is divided, in `parts`; its evidence says how many.
void divide(Candidate& candidate, const KfdCard& card, std::vector<Candidate>& parts);

// Ids by text, but numbers in them by value: cpx-2 before cpx-10.
bool comes_before(const std::string& a, const std::string& b);
void add_details(Candidate& candidate, const PciDetails& details);
void add_nvidia_proc(Candidate& candidate, const NvidiaProcGpu& found);
// The card, and where it is not divided, its one node.
void add_kfd(Candidate& candidate, const KfdCard& card);
void add_kfd_node(Candidate& candidate, const KfdNode& node);
void add_names(Candidate& candidate, const NameSource& source);

// /dev of the machine: which device nodes are there, and whether we may open them.
class DeviceNodes {
 public:
  explicit DeviceNodes(const HostFs& fs);
  void check(Candidate& candidate) const;

 private:
  NodeState state_of(const std::string& node) const;

  std::optional<Dir> dev_;  // empty: a recording without /dev
};

// /sys/module/<driver>/version, read once for each driver.
class DriverVersions {
 public:
  explicit DriverVersions(const HostFs& fs) : fs_(fs) {}
  std::optional<std::string> version_of(const std::string& driver);

 private:
  const HostFs& fs_;
  std::map<std::string, std::optional<std::string>> known_;
};

// Whether the driver that is bound can compute.
bool driver_computes(const Candidate& candidate);

// Sets health and usable.
void judge(Candidate& candidate);

// "10de"
std::string hex4(std::uint32_t value);

}  // namespace gpuctl::gpu::internal
