#include "gpuctl/gpu/classify.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "gpuctl/gpu/catalogue.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint32_t kVgaClass = 0x0300;
constexpr std::uint32_t kThreeDClass = 0x0302;
constexpr std::uint32_t kDisplayClass = 0x0380;
constexpr std::uint32_t kAcceleratorClass = 0x1200;
constexpr std::uint32_t kCoprocessorClass = 0x0b40;
constexpr std::uint32_t kTypeCClass = 0x0c80;
constexpr std::uint32_t kUsbClass = 0x0c03;
constexpr std::uint32_t kOtherBridgeClass = 0x0680;
constexpr std::uint32_t kBaseMultimedia = 0x04;
constexpr std::uint32_t kBaseBridge = 0x06;
constexpr std::uint32_t kBaseDisplay = 0x03;
constexpr std::uint32_t kBaseAccelerator = 0x12;

std::uint32_t class_of(const PciFunction& function) { return function.class_code >> 8; }
std::uint32_t base_of(const PciFunction& function) { return function.class_code >> 16; }

struct DisplayVendor {
  std::uint16_t vendor;
  const char* code;
  const char* name;
};

// Display controllers that only show a console.
constexpr std::array<DisplayVendor, 16> kConsoleVendors{{
    {0x1a03, "bmc_vga", "ASPEED"},
    {0x102b, "bmc_vga", "Matrox"},
    {0x126f, "bmc_vga", "Silicon Motion"},
    {0x18ca, "bmc_vga", "XGI"},
    {0x19e5, "bmc_vga", "Huawei iBMC"},
    {0x1013, "virtual_vga", "Cirrus Logic"},
    {0x1234, "virtual_vga", "QEMU standard VGA"},
    {0x1414, "virtual_vga", "Hyper-V"},
    {0x15ad, "virtual_vga", "VMware"},
    {0x1ab8, "virtual_vga", "Parallels"},
    {0x1af4, "virtual_vga", "virtio"},
    {0x1b36, "virtual_vga", "QEMU QXL"},
    {0x1d0f, "virtual_vga", "Amazon EC2"},
    {0x5853, "virtual_vga", "Xen"},
    {0x80ee, "virtual_vga", "VirtualBox"},
    {0xfb5d, "virtual_vga", "bhyve"},
}};

// AMD's vendor id on a server's BMC chip (RN50).
constexpr std::array<std::uint16_t, 2> kAmdBmcChips{0x515e, 0x5969};

// drivers/accel/ivpu of the kernel: Meteor, Arrow, Lunar, Panther, Wildcat and Nova Lake.
constexpr std::array<std::uint16_t, 6> kIntelNpus{0x7d1d, 0xad1d, 0x643e, 0xb03e, 0xfd3e, 0xd71d};

template <std::size_t N>
bool contains(const std::array<std::uint16_t, N>& ids, std::uint16_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

Verdict ignore(const char* code, std::string detail) {
  return {Role::ignored, {code, std::move(detail)}};
}

std::string vendor_text(const PciFunction& function) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04x", unsigned{function.vendor});
  return text.data();
}

Verdict classify_foreign_display(const PciFunction& function) {
  const auto* row =
      std::find_if(kConsoleVendors.begin(), kConsoleVendors.end(),
                   [&](const DisplayVendor& each) { return each.vendor == function.vendor; });
  if (row == kConsoleVendors.end()) {
    return ignore("other_display", "display controller of vendor " + vendor_text(function) +
                                       ", which gpuctl does not serve");
  }
  return ignore(row->code,
                std::string(row->name) + (std::string(row->code) == "bmc_vga"
                                              ? ": the console of a management controller"
                                              : ": the console of a virtual machine"));
}

Verdict classify_accelerator(const PciFunction& function) {
  if (function.vendor == kVendorIntel && contains(kIntelNpus, function.device)) {
    return ignore("npu", "Intel NPU: no GPU");
  }
  return ignore("not_gpu_accelerator",
                "processing accelerator of vendor " + vendor_text(function) + " that is no GPU");
}

bool is_nvswitch(const PciFunction& function) {
  if (class_of(function) != kOtherBridgeClass || function.vendor != kVendorNvidia) return false;
  if (function.driver == "nvidia-nvswitch") return true;
  const std::optional<std::string_view> name = catalogue_name(function.vendor, function.device);
  return name && name->find("NVSwitch") != std::string_view::npos;
}

// The other functions of NVIDIA and AMD: parts of a card, or of a chipset.
Verdict classify_companion(const PciFunction& function) {
  if (is_nvswitch(function)) return ignore("nvswitch", "NVSwitch: links GPUs, computes nothing");
  if (base_of(function) == kBaseBridge) return ignore("bridge", "PCI or other bridge");
  if (base_of(function) == kBaseMultimedia)
    return ignore("audio_function", "sound of a card or chipset");
  if (class_of(function) == kUsbClass || class_of(function) == kTypeCClass) {
    return ignore("usb_function", "USB or USB Type-C controller of a card or chipset");
  }
  return ignore("not_display",
                "class " + class_id_text(function.class_code) + " is no display or accelerator");
}

// Old Intel and ATI graphics show a second head as function 1 of class 0380 beside the VGA function
// 0. A GPU of its own may sit at function 1 too: then function 0 is no VGA controller of the same
// vendor.
bool is_second_head(const PciFunction& function, const std::vector<PciFunction>& all) {
  if (function.address.function == 0 || class_of(function) != kDisplayClass) return false;
  PciAddress first = function.address;
  first.function = 0;
  const auto found =
      std::lower_bound(all.begin(), all.end(), first,
                       [](const PciFunction& a, const PciAddress& b) { return a.address < b; });
  return found != all.end() && found->address == first && found->vendor == function.vendor &&
         class_of(*found) == kVgaClass;
}

// Drivers that bind nothing but GPUs.
std::optional<std::uint16_t> vendor_of_driver(const std::optional<std::string>& driver) {
  if (driver == "nvidia" || driver == "nouveau") return kVendorNvidia;
  if (driver == "amdgpu" || driver == "radeon") return kVendorAmd;
  if (driver == "i915" || driver == "xe") return kVendorIntel;
  return std::nullopt;
}

bool starts_with_any(const std::string& text, const std::vector<const char*>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const char* prefix) { return text.rfind(prefix, 0) == 0; });
}

}  // namespace

bool is_gpu_class(std::uint32_t class_code) {
  const std::uint32_t code = class_code >> 8;
  return code == kVgaClass || code == kThreeDClass || code == kDisplayClass ||
         code == kAcceleratorClass;
}

bool is_gpu_vendor(std::uint16_t vendor) {
  return vendor == kVendorNvidia || vendor == kVendorAmd || vendor == kVendorIntel;
}

std::string class_id_text(std::uint32_t class_code) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04x", class_code >> 8 & 0xffff);
  return text.data();
}

Verdict classify(const PciFunction& function, const std::vector<PciFunction>& all) {
  const bool gpu_vendor = is_gpu_vendor(function.vendor);
  if (class_of(function) == kCoprocessorClass) return ignore("coprocessor", "co-processor: no GPU");
  if (gpu_vendor && is_gpu_class(function.class_code)) {
    if (function.vendor == kVendorAmd && contains(kAmdBmcChips, function.device)) {
      return ignore("bmc_vga",
                    "ES1000: the console of a management controller, with AMD's vendor id");
    }
    // Intel's GPUs are display controllers; its class 1200 is NPUs and FPGAs.
    if (function.vendor == kVendorIntel && class_of(function) == kAcceleratorClass) {
      return classify_accelerator(function);
    }
    if (is_second_head(function, all))
      return ignore("second_function", "second head of the GPU at function 0");
    return {Role::gpu, {}};
  }
  if (base_of(function) == kBaseDisplay && !gpu_vendor) return classify_foreign_display(function);
  if (base_of(function) == kBaseAccelerator) return classify_accelerator(function);
  const bool companion = function.vendor == kVendorNvidia || function.vendor == kVendorAmd;
  if (companion || base_of(function) == kBaseDisplay) return classify_companion(function);
  return {};
}

std::optional<std::uint16_t> vendor_of_broken_gpu(const PciIdentity& known) {
  const std::optional<std::uint16_t> vendor =
      known.vendor ? known.vendor : vendor_of_driver(known.driver);
  if (!vendor || !is_gpu_vendor(*vendor)) return std::nullopt;
  if (known.class_code) {
    const PciFunction function{{}, *known.class_code, *vendor, known.device.value_or(0),
                               {}, known.driver};
    return classify(function, {}).role == Role::gpu ? vendor : std::nullopt;
  }
  if (!known.device) return vendor_of_driver(known.driver);
  const std::optional<std::string_view> name = catalogue_name(*vendor, *known.device);
  return name && name->find("NVSwitch") == std::string_view::npos ? vendor : std::nullopt;
}

bool is_integrated(const PciFunction& function, const std::string& chip) {
  const PciAddress& address = function.address;
  switch (function.vendor) {
    case kVendorIntel: return address.domain == 0 && address.bus == 0 && address.device == 2;
    case kVendorAmd:
      return starts_with_any(
          chip, {"Kaveri",    "Godavari",   "Kabini",    "Mullins",   "Beema",       "Temash",
                 "Trinity",   "Richland",   "Sumo",      "Llano",     "BeaverCreek", "WinterPark",
                 "Wrestler",  "Loveland",   "Ontario",   "Carrizo",   "Bristol",     "Stoney",
                 "Wani",      "Raven",      "Picasso",   "Dali",      "Renoir",      "Lucienne",
                 "Cezanne",   "Barcelo",    "Rembrandt", "Raphael",   "Phoenix",     "Mendocino",
                 "HawkPoint", "Hawk Point", "Strix",     "Krackan",   "Granite",     "VanGogh",
                 "Van Gogh",  "Sephiroth",  "Aerith",    "Fenghuang", "RS100",       "RS200",
                 "RS250",     "RS300",      "RS350",     "RS400",     "RS480",       "RS482",
                 "RS485",     "RS600",      "RS690",     "RS740",     "RS780",       "RS880",
                 "RC4",       "Devastator", "Scrapper"});
    case kVendorNvidia:
      return starts_with_any(
          chip, {"C51", "C61", "C67", "C68", "C73", "C77", "C78", "C79", "MCP", "nForce", "Crush"});
    default: return false;
  }
}

}  // namespace gpuctl::gpu
