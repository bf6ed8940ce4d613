// PCI functions as sysfs shows them (Documentation/ABI/testing/sysfs-bus-pci).
//
// A node may have 400 functions and eight GPUs, so reading goes in two steps: scan_pci reads what a
// function is (one file each, `uevent`, where the kernel or the recorder has it), read_pci_details
// reads the rest for the few that matter. Where `uevent` is missing the plain files are read, where
// these are missing too, `modalias`. For display controllers and accelerators of the GPU vendors
// the plain files are read in any case and win.
//
// A function that cannot be told what it is stays in the answer as Broken; it never hides the
// others.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/pci_address.hpp"
#include "gpuctl/gpu/problem.hpp"

namespace gpuctl::gpu {

inline constexpr std::uint16_t kVendorNvidia = 0x10de;
inline constexpr std::uint16_t kVendorAmd = 0x1002;
inline constexpr std::uint16_t kVendorIntel = 0x8086;

struct PciSubsystem {
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
};

// What a function says that it is; a part that no file told is empty.
struct PciIdentity {
  std::optional<std::uint32_t> class_code;  // 24 bits: base class, subclass, programming interface
  std::optional<std::uint16_t> vendor;
  std::optional<std::uint16_t> device;
  std::optional<PciSubsystem> subsystem;
  std::optional<std::string> driver;  // only uevent tells it here; a missing line means no driver

  bool is_complete() const { return class_code && vendor && device; }

  // Takes from `other` what is missing here.
  void fill_from(const PciIdentity& other);
};

struct PciFunction {
  PciAddress address;
  std::uint32_t class_code = 0;
  std::uint16_t vendor = 0;
  std::uint16_t device = 0;
  std::optional<PciSubsystem> subsystem;
  std::optional<std::string> driver;
};

// A function whose class, vendor or device is not known, with what is known of it.
struct BrokenFunction {
  PciAddress address;
  PciIdentity known;
  bool unreadable = false;  // a file was there and could not be read; false: it is not there
  std::string detail;
};

struct PciScan {
  std::vector<PciFunction> functions;  // sorted by address
  std::vector<BrokenFunction> broken;  // sorted by address
  std::vector<Problem> problems;
  bool bus_present = false;  // whether there is a PCI bus at all
};

// ErrorCode of the directory itself only; a machine without a PCI bus is an empty scan.
Result<PciScan> scan_pci(const HostFs& fs);

// The identity by the files in one device directory (of sys/bus/pci/devices, or a DRM card's
// `device`).
PciIdentity read_pci_identity(const Dir& device, ProblemSink& problems);

// The parts of `text` that are well formed. For `uevent` and for `modalias`.
PciIdentity parse_uevent(std::string_view text);
PciIdentity parse_modalias(std::string_view text);

// A counter of errors that is not zero; `code` as in HealthReason.
struct ErrorCount {
  std::string code;
  std::string detail;
};

// The rest of one function: read for GPUs only. Empty: no file, or the file says unknown.
struct PciDetails {
  std::optional<std::uint8_t> revision;
  std::optional<int> numa_node;
  std::optional<std::string> local_cpus;  // a list: "24-29,88-93"
  std::optional<std::string> driver;
  bool driver_known = true;  // false: neither `driver` nor `uevent` could be read
  std::optional<PciAddress> physical_function;    // of a virtual function (SR-IOV)
  std::optional<std::string> power_state;         // "D0" ... "D3cold"
  bool config_all_ones = false;                   // powered off, or fallen off the bus
  std::vector<std::string> drm_names;             // "card1", "renderD128"
  std::optional<int> virtual_functions;           // sriov_numvfs, where it is not 0
  std::optional<std::uint64_t> vram_total_bytes;  // amdgpu, i915 and xe where they tell
  std::optional<std::string> product_name;        // amdgpu; often empty, then unknown
  std::optional<std::string> unique_id;           // amdgpu
  std::optional<std::string> compute_partition;   // amdgpu: "SPX"
  std::optional<std::string> memory_partition;    // amdgpu: "NPS1"
  std::optional<int> tiles;                       // i915, xe
  bool survivability = false;                     // xe
  std::vector<ErrorCount> errors;
};

PciDetails read_pci_details(const Dir& device, ProblemSink& problems);

// "0000ffff,00000000" (the file local_cpus) as "32-47".
Result<std::string> cpu_list_of_mask(std::string_view mask);

}  // namespace gpuctl::gpu
