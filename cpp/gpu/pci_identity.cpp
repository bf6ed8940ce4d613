// Who a PCI function is, by `uevent`, by the plain files, by `modalias`.
#include <cstddef>

#include "attributes.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint32_t kMaxClass = 0xffffff;
constexpr std::uint32_t kMaxId = 0xffff;
constexpr std::size_t kModaliasIdDigits =
    8;  // pci:v000010DEd000015F8sv…: 32-bit fields, PCI_ANY_ID is all ones

std::optional<std::uint64_t> hex_or_nothing(std::string_view text, std::uint32_t max) {
  const std::optional<std::uint32_t> value = hex_digits(text);
  if (!value || *value > max) return std::nullopt;
  return *value;
}

std::optional<std::uint16_t> narrow_id(std::optional<std::uint64_t> value) {
  if (!value) return std::nullopt;
  return static_cast<std::uint16_t>(*value);
}

// 0000:0000 is what a function without a subsystem reads.
std::optional<PciSubsystem> make_subsystem(std::optional<std::uint64_t> vendor,
                                           std::optional<std::uint64_t> device) {
  if (!vendor || !device || (*vendor == 0 && *device == 0)) return std::nullopt;
  return PciSubsystem{static_cast<std::uint16_t>(*vendor), static_cast<std::uint16_t>(*device)};
}

// "10DE:15F8"
struct IdPair {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> second;
};

IdPair parse_pair(std::string_view text) {
  const IdPair pair{hex_or_nothing(take_until(text, ':'), kMaxId), hex_or_nothing(text, kMaxId)};
  return pair.first && pair.second ? pair : IdPair();
}

void take_driver(std::string_view name, PciIdentity& identity) {
  if (!name.empty()) identity.driver = std::string(name);
}

void take_class(std::string_view text, PciIdentity& identity) {
  if (const auto code = hex_or_nothing(text, kMaxClass))
    identity.class_code = static_cast<std::uint32_t>(*code);
}

void take_id(std::string_view text, PciIdentity& identity) {
  const IdPair pair = parse_pair(text);
  identity.vendor = narrow_id(pair.first);
  identity.device = narrow_id(pair.second);
}

void take_subsystem(std::string_view text, PciIdentity& identity) {
  const IdPair pair = parse_pair(text);
  identity.subsystem = make_subsystem(pair.first, pair.second);
}

// A letter tells which key a line may have, of a dozen: there are hundreds of these files.
void take_uevent_line(std::string_view line, PciIdentity& identity) {
  const auto take = [&](std::string_view key, void (*taker)(std::string_view, PciIdentity&)) {
    if (line.substr(0, key.size()) == key) taker(trim(line.substr(key.size())), identity);
  };
  constexpr std::size_t kTelling = 4;
  if (line.size() <= kTelling) return;
  if (line[0] == 'D') return take("DRIVER=", take_driver);
  if (line[0] != 'P') return;
  switch (line[kTelling]) {
    case 'C': return take("PCI_CLASS=", take_class);
    case 'I': return take("PCI_ID=", take_id);
    case 'S': return take("PCI_SUBSYS_ID=", take_subsystem);
    default: return;
  }
}

// Takes `tag` and `digits` hexadecimal digits from the front of `text`.
std::optional<std::uint64_t> take_field(std::string_view& text, std::string_view tag,
                                        std::size_t digits, std::uint32_t max) {
  if (text.substr(0, tag.size()) != tag || text.size() < tag.size() + digits) return std::nullopt;
  const std::string_view field = text.substr(tag.size(), digits);
  text.remove_prefix(tag.size() + digits);
  return hex_or_nothing(field, max);
}

}  // namespace

void PciIdentity::fill_from(const PciIdentity& other) {
  if (!class_code) class_code = other.class_code;
  if (!vendor) vendor = other.vendor;
  if (!device) device = other.device;
  if (!subsystem) subsystem = other.subsystem;
  if (!driver) driver = other.driver;
}

PciIdentity parse_uevent(std::string_view text) {
  PciIdentity identity;
  while (!text.empty()) take_uevent_line(take_until(text, '\n'), identity);
  return identity;
}

PciIdentity parse_modalias(std::string_view text) {
  PciIdentity identity;
  std::string_view rest = trim(text);
  if (rest.substr(0, 4) != "pci:") return identity;
  rest.remove_prefix(4);
  identity.vendor = narrow_id(take_field(rest, "v", kModaliasIdDigits, kMaxId));
  identity.device = narrow_id(take_field(rest, "d", kModaliasIdDigits, kMaxId));
  const auto subsystem_vendor = take_field(rest, "sv", kModaliasIdDigits, kMaxId);
  const auto subsystem_device = take_field(rest, "sd", kModaliasIdDigits, kMaxId);
  identity.subsystem = make_subsystem(subsystem_vendor, subsystem_device);
  const auto base = take_field(rest, "bc", 2, 0xff);
  const auto sub = take_field(rest, "sc", 2, 0xff);
  const auto interface = take_field(rest, "i", 2, 0xff);
  if (base && sub && interface) {
    identity.class_code = static_cast<std::uint32_t>(*base << 16 | *sub << 8 | *interface);
  }
  return identity;
}

PciIdentity read_pci_identity(const Dir& device, ProblemSink& problems) {
  PciIdentity identity;
  const auto class_code = internal::read_hex(device, "class", kMaxClass, problems);
  if (class_code) identity.class_code = static_cast<std::uint32_t>(*class_code);
  identity.vendor = narrow_id(internal::read_hex(device, "vendor", kMaxId, problems));
  identity.device = narrow_id(internal::read_hex(device, "device", kMaxId, problems));
  if (const auto text = internal::read_text(device, "uevent", problems)) {
    identity.fill_from(parse_uevent(*text));
  }
  if (!identity.subsystem) {
    identity.subsystem =
        make_subsystem(internal::read_hex(device, "subsystem_vendor", kMaxId, problems),
                       internal::read_hex(device, "subsystem_device", kMaxId, problems));
  }
  if (identity.is_complete() && identity.subsystem) return identity;
  if (const auto text = internal::read_text(device, "modalias", problems)) {
    identity.fill_from(parse_modalias(*text));
  }
  return identity;
}

}  // namespace gpuctl::gpu
