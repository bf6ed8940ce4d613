#include "gpuctl/gpu/pci_address.hpp"

#include <array>
#include <cstdio>
#include <optional>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint64_t kMaxDevice = 0x1f;
constexpr std::uint64_t kMaxFunction = 7;

// `text` as hexadecimal of `min_digits` to `max_digits` digits.
std::optional<std::uint32_t> hex_field(std::string_view text, std::size_t min_digits,
                                       std::size_t max_digits, std::uint64_t max_value) {
  if (text.size() < min_digits || text.size() > max_digits) return std::nullopt;
  const Result<std::uint64_t> value = parse_unsigned(text, "PCI address", 16, max_value);
  if (!value) return std::nullopt;
  return static_cast<std::uint32_t>(*value);
}

}  // namespace

Result<PciAddress> PciAddress::parse(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() == 3) {
    const std::vector<std::string_view> slot = split(parts[2], '.');
    const auto domain = hex_field(parts[0], 4, 8, 0xffffffff);
    const auto bus = hex_field(parts[1], 2, 2, 0xff);
    const auto device = hex_field(slot[0], 2, 2, kMaxDevice);
    const auto function = slot.size() == 2 ? hex_field(slot[1], 1, 1, kMaxFunction) : std::nullopt;
    if (domain && bus && device && function) {
      return PciAddress{*domain, static_cast<std::uint8_t>(*bus),
                        static_cast<std::uint8_t>(*device), static_cast<std::uint8_t>(*function)};
    }
  }
  return fail(ErrorCode::malformed, printable(text), "no PCI address like `0000:01:00.0`");
}

std::string PciAddress::text() const {
  std::array<char, 32> buffer{};
  const int length = std::snprintf(buffer.data(), buffer.size(), "%04x:%02x:%02x.%x", domain,
                                   unsigned{bus}, unsigned{device}, unsigned{function});
  return std::string(buffer.data(), static_cast<std::size_t>(length));
}

}  // namespace gpuctl::gpu
