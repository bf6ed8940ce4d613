#include "gpuctl/gpu/pci_address.hpp"

#include <optional>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint32_t kMaxDevice = 0x1f;
constexpr std::uint32_t kMaxFunction = 7;

// `text` as hexadecimal of `min_digits` to `max_digits` digits.
std::optional<std::uint32_t> hex_field(std::string_view text, std::size_t min_digits,
                                       std::size_t max_digits, std::uint32_t max_value) {
  const std::optional<std::uint32_t> value = hex_digits(text, max_digits);
  return text.size() >= min_digits && value && *value <= max_value ? value : std::nullopt;
}

void put_hex(std::string& text, std::size_t at, std::uint32_t value, std::size_t digits) {
  constexpr std::string_view kHex = "0123456789abcdef";
  for (std::size_t i = at + digits; i-- > at; value >>= 4) text[i] = kHex[value & 15];
}

// At least `digits` digits, and more where it has more.
std::string hex(std::uint32_t value, std::size_t digits) {
  while (digits < 8 && value >> (4 * digits) != 0) ++digits;
  std::string text(digits, '0');
  put_hex(text, 0, value, digits);
  return text;
}

}  // namespace

Result<PciAddress> PciAddress::parse(std::string_view text) {
  std::string_view rest = text;
  const auto domain = hex_field(take_until(rest, ':'), 4, 8, 0xffffffff);
  const auto bus = hex_field(take_until(rest, ':'), 2, 2, 0xff);
  const auto device = hex_field(take_until(rest, '.'), 2, 2, kMaxDevice);
  const auto function = hex_field(rest, 1, 1, kMaxFunction);
  if (domain && bus && device && function) {
    return PciAddress{*domain, static_cast<std::uint8_t>(*bus), static_cast<std::uint8_t>(*device),
                      static_cast<std::uint8_t>(*function)};
  }
  return fail(ErrorCode::malformed, printable(text), "no PCI address like `0000:01:00.0`");
}

std::string PciAddress::text() const {
  std::string text = hex(domain, 4);
  text.append(":00:00.0");
  const std::size_t end = text.size();
  put_hex(text, end - 7, bus, 2);
  put_hex(text, end - 4, device, 2);
  put_hex(text, end - 1, function, 1);
  return text;
}

}  // namespace gpuctl::gpu
