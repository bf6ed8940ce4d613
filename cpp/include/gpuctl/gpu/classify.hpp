// What a PCI function is to gpuctl: a GPU, something to be named as left out, or none of our
// business.
//
// Class and vendor together decide, never one alone: NPUs share a GPU's class, a server's BMC chip
// shares AMD's vendor id, and NVIDIA's vendor id is on bridges, audio and USB functions and whole
// chipsets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {

// VGA 0300, 3D 0302, display 0380, processing accelerator 1200: all four are seen on GPUs.
bool is_gpu_class(std::uint32_t class_code);

bool is_gpu_vendor(std::uint16_t vendor);

// "0302": the class as people know it, without the programming interface.
std::string class_id_text(std::uint32_t class_code);

// The codes are stable (docs/design/inventory.md): bmc_vga, virtual_vga, other_display,
// second_function, npu, not_gpu_accelerator, coprocessor, nvswitch, bridge, audio_function,
// usb_function, not_display, incomplete, unreadable.
struct IgnoreReason {
  std::string code;
  std::string detail;
};

enum class Role { gpu, ignored, unrelated };

struct Verdict {
  Role role = Role::unrelated;
  IgnoreReason reason;  // of Role::ignored
};

// `all` is the whole scan, sorted: a second display function is known by the first one.
Verdict classify(const PciFunction& function, const std::vector<PciFunction>& all);

// The vendor of a function that is a GPU as far as its readable files tell, though some are
// missing: a broken GPU is in the inventory with its health, not among the devices left out.
std::optional<std::uint16_t> vendor_of_broken_gpu(const PciIdentity& known);

// Processors with graphics, and the graphics of a chipset, as against a card.
bool is_integrated(const PciFunction& function, const std::string& chip);

}  // namespace gpuctl::gpu
