// The parsers of this room, each as a function of bytes, with texts to start from: for the short deterministic run in
// fuzz_test.cpp and for libFuzzer in tests/fuzz.
#pragma once

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/gpu/capture.hpp"
#include "gpuctl/gpu/catalogue.hpp"
#include "gpuctl/gpu/kfd.hpp"
#include "gpuctl/gpu/mig.hpp"
#include "gpuctl/gpu/nvidia_proc.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu::test {

struct FuzzTarget {
  const char* name;
  void (*run)(std::string_view bytes);
  std::vector<std::string> seeds;
};

inline void must(bool holds) {
  if (!holds) std::abort();  // both runners report it with the input
}

inline void fuzz_address(std::string_view bytes) {
  const Result<PciAddress> address = PciAddress::parse(bytes);
  if (address) must(PciAddress::parse(address->text()).value_or(PciAddress()) == *address);
}

inline void fuzz_names(std::string_view bytes) {
  for (const std::uint16_t vendor : {kVendorNvidia, kVendorAmd, kVendorIntel}) {
    const ChipAndModel parts = split_name(vendor, bytes);
    must(!parts.model || !parts.model->empty());
    architecture_of(vendor, parts);
    if (!parts.model) continue;
    must(!choose_model(*parts.model, {{vendor, 0x66a1}, 2, 17163091968}).empty());
    nominal_memory({vendor, 0x66a1}, parts.model, std::string(bytes));
  }
}

inline void fuzz_scrubber(std::string_view bytes) {
  Scrubber scrubber({"wn042.cern.ch", "anna"});
  scrubber.learn_unique_id(0x5a1b3c0021720000);
  const std::string clean = scrubber.scrub(bytes);
  must(scrubber.scrub(bytes) == clean);  // the same thing by the same name
}

inline void fuzz_kfd(std::string_view bytes) {
  const std::optional<KfdNode> node = parse_kfd_properties(1, bytes);
  if (!node) return;
  KfdTopology topology{true, {*node, *node}};
  must(!topology.cards({node->address}).empty());
}

inline const std::vector<FuzzTarget>& fuzz_targets() {
  static const std::vector<FuzzTarget> targets{
      {"uevent",
       [](std::string_view bytes) { parse_uevent(bytes); },
       {"DRIVER=nvidia\nPCI_CLASS=30200\nPCI_ID=10DE:20B0\nPCI_SUBSYS_ID=10DE:144E\n"}},
      {"modalias",
       [](std::string_view bytes) { parse_modalias(bytes); },
       {"pci:v000010DEd000020B0sv000010DEsd0000144Ebc03sc02i00"}},
      {"pci address", fuzz_address, {"0000:01:00.0", "00000000:0C:00.0", "10000:00:00.0"}},
      {"cpu mask",
       [](std::string_view bytes) { (void)cpu_list_of_mask(bytes).has_value(); },
       {"ffffffff,00000000,0000ffff"}},
      {"nvidia information",
       [](std::string_view bytes) { parse_nvidia_information({}, bytes); },
       {"Model: \t\t NVIDIA L4\nGPU UUID: \t GPU-6a1b5f2e-77aa-4f6e-8a10-00000000a001\n"
        "Device Minor: \t 0\nGPU Excluded:\t No"}},
      {"mig capability",
       [](std::string_view bytes) { cap_minor(bytes); },
       {"DeviceFileMinor: 12\nDeviceFileMode: 292\nDeviceFileModify: 1\n"}},
      {"kfd properties",
       fuzz_kfd,
       {"simd_count 416\nsimd_per_cu 4\ngfx_target_version 90010\ndevice_id 29711\n"
        "location_id 25344\ndomain 0\ndrm_render_minor 128\nunique_id 18446744073709551615\n"}},
      {"kfd link",
       [](std::string_view bytes) {
         const std::optional<KfdLink> link = parse_kfd_link(bytes);
         must(!link || link->hops > 0);
       },
       {"type 11\nnode_from 4\nnode_to 5\nweight 15\nmax_bandwidth 200000\nflags 1\n"}},
      {"pci.ids",
       [](std::string_view bytes) {
         pci_ids_version(bytes);
         find_in_pci_ids(bytes, {0x10de, 0x20b0});
       },
       {"#\n# Version: 2099.01.01\n\n10de  NVIDIA\n\t20b0  GA100 [A100]\n\t\t10de 144e  X\n1eed  "
        "Y\n"}},
      {"names",
       fuzz_names,
       {"GA100 [A100 SXM4 40GB]", "Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB]",
        "GH100 [GH200 120GB / 480GB]"}},
      {"scrubber",
       fuzz_scrubber,
       {"GPU-6a1b5f2e-77aa-4f6e-8a10-00000000a001 on wn042.cern.ch by anna@wn042\n"
        "Serial Number : 1324520042233\n/home/anna/x 0x5a1b3c0021720000\n"}},
  };
  return targets;
}

}  // namespace gpuctl::gpu::test
