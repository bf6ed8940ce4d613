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

// How the runtimes count this GPU among those that this process may open, no mask applied; empty: they do not see it, or
// their order is not known. A mask by index needs these; one by UUID does not.
struct Orders {
  std::optional<int> cuda;                // with CUDA_DEVICE_ORDER=PCI_BUS_ID
  std::optional<int> cuda_fastest_first;  // CUDA's default
  std::optional<int> rocr;                // ROCR_VISIBLE_DEVICES
  std::optional<int>
      hip;  // HIP_VISIBLE_DEVICES: counts what the slot's ROCR_VISIBLE_DEVICES leaves
  std::optional<int> level_zero;  // ZE_AFFINITY_MASK with ZE_FLAT_DEVICE_HIERARCHY=COMPOSITE: cards
  std::optional<int>
      level_zero_flat;  // the same with FLAT, the default: tiles; the card's first one
};

// The codes are stable (docs/design/inventory.md).
struct AllotmentReason {
  std::string code;
  std::string detail;
};

// A way to another GPU of this node that does not lead over PCI. `hops`: 1 is direct.
struct Link {
  std::string id;    // of the GPU at its other end
  std::string type;  // "xgmi"
  unsigned hops = 1;
  std::optional<std::uint64_t> bandwidth_bytes_per_s;
};

// A process that has device nodes of the GPU open.
struct Holder {
  int pid = 0;
  unsigned uid = 0;
  std::string name;
  bool service = false;  // a daemon known to keep nodes open without computing
  std::vector<std::string> nodes;
};

struct Gpu {
  std::optional<PciAddress> pci_address;  // empty: seen only in /sys/class/drm, cannot be reserved
  std::string
      id;  // the address, "drm:card0", "kfd:2", or of a partition "<parent>.cpx-0", "<parent>.mig-gi7-ci0"
  std::optional<std::string> parent_id;  // of a partition or virtual function
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
  std::optional<std::string> memory_source;  // "driver", "kfd", or "catalogue": the nominal size
  std::optional<int> compute_units;          // AMD
  std::optional<int> tiles;                  // Intel
  bool integrated = false;

  std::optional<std::string> uuid;       // NVIDIA
  std::optional<std::string> mig_name;   // of a MIG instance, as CUDA takes it: "MIG-GPU-…/7/0"
  std::optional<std::string> unique_id;  // AMD, hexadecimal
  std::optional<int> numa_node;
  std::optional<std::string> local_cpus;
  std::optional<std::vector<Link>> links;  // by the order of the GPUs; empty: nothing tells
  std::optional<std::string> driver;
  std::optional<std::string> driver_version;
  std::optional<std::string> power_state;        // "D0", "D3cold"
  std::optional<std::string> compute_partition;  // AMD: "SPX", "CPX"
  std::optional<std::string> memory_partition;   // AMD: "NPS1"
  std::optional<int> virtual_functions;          // how many are switched on

  std::vector<std::string> device_nodes;  // what computing needs of this GPU; empty: not known
  std::vector<std::string> card_nodes;    // never given to a payload by default
  std::vector<std::string> shared_nodes;  // needed too, common to all GPUs of the driver

  Health health;
  bool usable = false;
  bool allotted = true;                            // the slot may use it
  std::vector<AllotmentReason> allotment_reasons;  // why not
  Orders orders;
  std::vector<Holder> busy_by;       // by pid; filled by add_holders() (gpu/holders.hpp)
  std::vector<std::string> sources;  // "pci", "drm", "nvidia_proc", "kfd"
};

}  // namespace gpuctl::gpu
