// PciAddress: where a PCI function sits, "domain:bus:device.function". The key that joins all
// sources.
//
// Tools write it in many ways: sysfs 0000:0c:00.0, nvidia-smi 00000000:0C:00.0, virtual and VMD
// domains above ffff as 10000:00:00.0. Here it is always lower case with a domain of at least four
// digits. Addresses order by number, so that 0000:… comes before 10000:….
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "gpuctl/base/result.hpp"

namespace gpuctl::gpu {

struct PciAddress {
  std::uint32_t domain = 0;
  std::uint8_t bus = 0;
  std::uint8_t device = 0;    // 0..31
  std::uint8_t function = 0;  // 0..7

  auto operator<=>(const PciAddress&) const = default;

  // Four to eight digits of domain, either case; ErrorCode::malformed otherwise.
  static Result<PciAddress> parse(std::string_view text);

  std::string text() const;

  // The same card (domain, bus and device), whatever the function.
  bool same_slot(const PciAddress& other) const {
    return domain == other.domain && bus == other.bus && device == other.device;
  }
};

}  // namespace gpuctl::gpu
