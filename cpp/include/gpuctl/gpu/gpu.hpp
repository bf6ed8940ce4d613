// Gpu: one GPU of this node, whatever its vendor, as all sources together know it.
//
// A plain value. Empty optionals are unknown. Its JSON keys are the member names (gpu/json.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/gpu/pci_address.hpp"

namespace gpuctl::gpu {

enum class GpuKind { gpu, partition, vf };

enum class HealthState {
  ok,
  degraded,    // it works in part: a device node is missing or may not be opened
  lost,        // on the bus by name only: its configuration space reads all ones
  no_driver,   // no driver, or one that cannot compute
  unknown,     // what would tell could not be read
  probe_hung,  // a question to it was not answered in time
};

const char* name_of(GpuKind kind);
const char* name_of(HealthState state);

// The codes are stable (docs/design/inventory.md).
struct HealthReason {
  std::string code;
  std::string detail;
  std::optional<std::string> since_at;  // RFC 3339
};

struct Health {
  HealthState state = HealthState::ok;
  std::vector<HealthReason> reasons;
};

struct Gpu {
  std::optional<PciAddress> pci_address;  // empty: seen only in /sys/class/drm, cannot be reserved
  std::string id;                         // the address, or "drm:card0"
  std::optional<std::string> parent_id;   // of a partition or virtual function
  GpuKind kind = GpuKind::gpu;

  std::string vendor;  // "nvidia", "amd", "intel"
  std::string vendor_id;
  std::optional<std::string> device_id;
  std::optional<std::string> subsystem_id;  // "1002:0834"
  std::optional<std::string> class_id;      // "0302"
  std::optional<std::string> revision;

  std::optional<std::string> model;
  std::vector<std::string> names;  // every name that a source gives, the catalogue's first
  std::optional<std::string> architecture;
  std::optional<std::string> chip;
  std::optional<std::string> isa;
  std::optional<std::uint64_t> memory_total_bytes;
  bool integrated = false;

  std::optional<std::string> uuid;       // NVIDIA
  std::optional<std::string> unique_id;  // AMD, hexadecimal
  std::optional<int> numa_node;
  std::optional<std::string> local_cpus;
  std::optional<std::string> driver;
  std::optional<std::string> driver_version;

  std::vector<std::string> device_nodes;  // what computing needs of this GPU; empty: not known
  std::vector<std::string> card_nodes;    // never given to a payload by default
  std::vector<std::string> shared_nodes;  // needed too, common to all GPUs of the driver

  Health health;
  bool usable = false;
  bool allotted = true;  // the slot's own limits are not read yet: everything visible is ours
  std::vector<std::string> busy_by;  // filled where processes are read
  std::vector<std::string> sources;  // "pci", "drm", "nvidia_proc", "kfd"
};

}  // namespace gpuctl::gpu
