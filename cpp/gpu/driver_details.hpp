// What the drivers add to a PCI function's directory.
#pragma once

#include <cstdint>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu::internal {

// Documentation/gpu/amdgpu: memory, names, partitions, RAS. `awake`: asking for RAS counters reaches the hardware.
void read_amdgpu(const Dir& device, bool awake, PciDetails& details, ProblemSink& problems);

// Tiles, local memory, survivability mode (Documentation/ABI/testing/sysfs-driver-intel-xe-*, -i915).
void read_intel(const Dir& device, PciDetails& details, ProblemSink& problems);

// Documentation/ABI/testing/sysfs-bus-pci-devices-aer: fatal errors since boot.
void read_pci_errors(const Dir& device, PciDetails& details, ProblemSink& problems);

// The value of the line "NAME value" or "NAME: value"; empty where there is none.
std::optional<std::uint64_t> counter_in(std::string_view text, std::string_view name);

}  // namespace gpuctl::gpu::internal
