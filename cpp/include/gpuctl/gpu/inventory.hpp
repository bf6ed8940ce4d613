// Inventory: all GPUs of the node, all vendors at once, and what was left out and why.
//
// Sources are separate readers (PCI, DRM, /proc/driver/nvidia, KFD), joined by PCI address in one
// place. A device that is broken is in the answer with its health; a file that could not be read is
// a problem beside the answer.
//
//   Result<Inventory> inventory = discover(fs, {});
//   for (const Gpu& gpu : inventory->gpus) …
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/catalogue.hpp"
#include "gpuctl/gpu/classify.hpp"
#include "gpuctl/gpu/gpu.hpp"
#include "gpuctl/gpu/problem.hpp"
#include "gpuctl/gpu/slot_env.hpp"

namespace gpuctl::gpu {

// A PCI function that looks like a GPU, or belongs to a GPU vendor, and is none.
struct IgnoredDevice {
  PciAddress pci_address;
  std::optional<std::string> vendor_id;
  std::optional<std::string> device_id;
  std::optional<std::string> class_id;
  IgnoreReason reason;
};

// How many processes the search for holders of device nodes could look into, and how many it could not.
struct HoldersLookedAt {
  std::size_t processes_read = 0;
  std::size_t processes_unreadable = 0;
};

struct Inventory {
  std::vector<Gpu> gpus;  // sorted by (pci_address, id); a card without address comes last
  std::vector<IgnoredDevice> ignored;  // sorted by address
  std::vector<Problem> problems;
  std::size_t pci_function_count = 0;                // all that were seen, of whatever kind
  std::optional<HoldersLookedAt> holders_looked_at;  // empty: nobody looked, `busy_by` says nothing
};

struct DiscoverOptions {
  // Where the system's pci.ids may be; empty: only the names compiled in.
  std::vector<std::string> pci_ids_files = system_pci_ids_files();
  // What the batch system gave this slot; by default nothing is said, so all is allotted that may be opened.
  SlotEnv slot;
};

// The options of the setting `pci_ids`: a file, which must be there (the ErrorCode of its opening otherwise), `none` for
// only the names compiled in, nullopt for the usual places.
Result<DiscoverOptions> make_discover_options(const std::optional<std::string>& pci_ids);

// ErrorCode::unavailable when there is no sysfs below the root, so that nothing can be said.
Result<Inventory> discover(const HostFs& fs, const DiscoverOptions& options);

}  // namespace gpuctl::gpu
