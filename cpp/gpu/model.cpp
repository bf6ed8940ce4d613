// From a catalogue name to chip and model, and from a model's alternatives to the one that this
// card is.
#include <algorithm>
#include <array>
#include <cctype>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/catalogue.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
constexpr std::uint64_t kTolerancePercent =
    7;  // of a size in a model name against the memory that a driver shows

std::optional<std::string> non_empty(std::string_view text) {
  const std::string_view trimmed = trim(text);
  if (trimmed.empty()) return std::nullopt;
  return std::string(trimmed);
}

bool sizes_agree(std::uint64_t named, std::uint64_t actual) {
  const std::uint64_t difference = named > actual ? named - actual : actual - named;
  return difference <= named / 100 * kTolerancePercent;
}

// What libdrm's amdgpu.ids says that pci.ids does not: 66a1 with revision 02 is an Instinct, with
// 06 a Pro VII.
struct RevisionRule {
  std::uint16_t device;
  std::uint8_t revision;
  const char* word;  // of the alternatives that remain
};

constexpr std::array<RevisionRule, 2> kAmdRevisionRules{{
    {0x66a1, 0x02, "Instinct"},
    {0x66a1, 0x06, "Pro VII"},
}};

bool revision_allows(std::string_view alternative, const ModelEvidence& evidence) {
  if (evidence.id.vendor != kVendorAmd || !evidence.revision) return true;
  const auto* rule = std::find_if(
      kAmdRevisionRules.begin(), kAmdRevisionRules.end(), [&](const RevisionRule& each) {
        return each.device == evidence.id.device && each.revision == *evidence.revision;
      });
  return rule == kAmdRevisionRules.end() || alternative.find(rule->word) != std::string_view::npos;
}

bool memory_confirms(std::string_view alternative, const ModelEvidence& evidence) {
  const std::optional<std::uint64_t> named = size_in_name(alternative);
  return named && evidence.memory_total_bytes && sizes_agree(*named, *evidence.memory_total_bytes);
}

bool all_have_sizes(const std::vector<std::string_view>& alternatives) {
  return std::all_of(alternatives.begin(), alternatives.end(),
                     [](std::string_view each) { return size_in_name(each).has_value(); });
}

// Memory decides only between names that all have a size: a 16 GB card of the id that pci.ids calls
// "Radeon Pro VII/Radeon Instinct MI50 32GB" may be a Pro VII or a 16 GB MI50.
std::vector<std::string_view> remaining(const std::vector<std::string_view>& alternatives,
                                        const ModelEvidence& evidence) {
  std::vector<std::string_view> left;
  for (const std::string_view each : alternatives) {
    if (revision_allows(each, evidence)) left.push_back(trim(each));
  }
  if (!all_have_sizes(left)) return left;
  left.erase(
      std::remove_if(left.begin(), left.end(),
                     [&](std::string_view each) { return !memory_confirms(each, evidence); }),
      left.end());
  return left;
}

}  // namespace

std::optional<std::uint64_t> size_in_name(std::string_view name) {
  std::string words(name);
  std::replace(words.begin(), words.end(), '-', ' ');
  for (const std::string_view word : split(words, ' ')) {
    if (word.size() < 3 || word.substr(word.size() - 2) != "GB") continue;
    const Result<std::uint64_t> value =
        parse_unsigned(word.substr(0, word.size() - 2), "size", 10, 1U << 16);
    if (value && *value > 0) return *value * kGib;
  }
  return std::nullopt;
}

ChipAndModel split_name(std::uint16_t vendor, std::string_view name) {
  const std::size_t open = name.find('[');
  const std::size_t close = name.rfind(']');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) {
    // Intel names its chips' graphics ("UHD Graphics 620"); the others' bare names are chips that
    // have no model yet.
    const std::optional<std::string> whole = non_empty(name);
    return {vendor == kVendorIntel ? std::nullopt : whole, whole};
  }
  return {non_empty(name.substr(0, open)), non_empty(name.substr(open + 1, close - open - 1))};
}

std::string choose_model(const std::string& model, const ModelEvidence& evidence) {
  const std::vector<std::string_view> alternatives = split(model, '/');
  if (alternatives.size() < 2) return model;
  const std::vector<std::string_view> left = remaining(alternatives, evidence);
  // A part like "XT" of "RX 7900 XT/XTX" is no name by itself.
  if (left.size() != 1 || left.front().find(' ') == std::string_view::npos) return model;
  return std::string(left.front());
}

}  // namespace gpuctl::gpu
