#include "gpuctl/gpu/match.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

using Words = std::optional<std::string>;

std::string quoted(const std::vector<std::string>& names, const char* between) {
  std::string text;
  for (const std::string& name : names) {
    if (!text.empty()) text += between;
    text += "`" + name + "`";
  }
  return text;
}

std::string any_of(const std::vector<std::string>& names) { return quoted(names, " or "); }

std::string gib(std::uint64_t bytes) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f GiB",
                static_cast<double>(bytes) / (1024.0 * 1024.0 * 1024.0));
  return text.data();
}

std::string label(const Traits& traits) {
  return traits.names.empty() ? "a GPU without a name" : "`" + traits.names.front() + "`";
}

// Lower case, blanks of any number as one.
std::string plain(std::string_view text) {
  std::string words;
  for (const std::string_view word : split(text, ' ')) {
    if (trim(word).empty()) continue;
    words += (words.empty() ? "" : " ") + to_lower(trim(word));
  }
  return words;
}

Words vendor_mismatch(const Wish& wish, const Traits& traits) {
  const std::string vendor = traits.vendor.empty() ? "unknown" : to_lower(traits.vendor);
  const auto& wanted = wish.vendors;
  if (wanted.empty() || std::find(wanted.begin(), wanted.end(), vendor) != wanted.end())
    return std::nullopt;
  return "its vendor is `" + vendor + "`, not " + any_of(wanted);
}

Words architecture_mismatch(const Wish& wish, const Traits& traits) {
  const auto known = [&](const std::string& wanted) {
    return std::any_of(traits.architectures.begin(), traits.architectures.end(),
                       [&](const std::string& each) { return plain(each) == plain(wanted); });
  };
  const auto& wanted = wish.architectures;
  if (wanted.empty() || std::any_of(wanted.begin(), wanted.end(), known)) return std::nullopt;
  const std::string found = quoted(traits.architectures, ", ");
  return "its architecture is " + (found.empty() ? "unknown" : found) + ", not " + any_of(wanted);
}

bool within(std::uint64_t memory, std::uint64_t size) {
  const std::uint64_t difference = memory > size ? memory - size : size - memory;
  return static_cast<double>(difference) * 100 <=
         static_cast<double>(size) * static_cast<double>(kMemoryTolerancePercent);
}

// With the memory unknown (no vendor tool, NVIDIA) the size has to stand in the name itself.
Words mismatch_with(const WantedModel& wanted, const Traits& traits) {
  const bool with_sizes = !traits.memory_bytes;
  const bool named = std::any_of(
      traits.names.begin(), traits.names.end(),
      [&](const std::string& name) { return wanted.in_name(name, traits.vendor, with_sizes); });
  if (!named) return label(traits) + " is not `" + wanted.text() + "`";
  const auto& sizes = wanted.sizes_bytes();
  const bool fits = with_sizes || std::all_of(sizes.begin(), sizes.end(), [&](std::uint64_t size) {
                      return within(*traits.memory_bytes, size);
                    });
  if (fits) return std::nullopt;
  return label(traits) + " has " + gib(*traits.memory_bytes) + " of memory, which is no `" +
         wanted.text() + "`";
}

// What is wrong with the wanted model that came closest: one whose name fits.
Words model_mismatch(const Wish& wish, const Traits& traits) {
  Words by_memory;
  for (const std::string& model : wish.models) {
    const Words words = mismatch_with(WantedModel(model), traits);
    if (!words) return std::nullopt;
    if (!by_memory && words->find("memory") != std::string::npos) by_memory = words;
  }
  if (wish.models.empty() || by_memory) return by_memory;
  return label(traits) + " is not " + any_of(wish.models);
}

Words memory_mismatch(const Wish& wish, const Traits& traits) {
  if (!wish.memory_bytes) return std::nullopt;
  const std::string wanted = "at least " + gib(*wish.memory_bytes) + " is wanted";
  if (!traits.memory_bytes) return "its memory is unknown, and " + wanted;
  const double least = static_cast<double>(*wish.memory_bytes) *
                       static_cast<double>(100 - kMemoryTolerancePercent) / 100;
  if (static_cast<double>(*traits.memory_bytes) >= least) return std::nullopt;
  return "it has " + gib(*traits.memory_bytes) + " of memory, and " + wanted;
}

std::string health_words(const Gpu& gpu) {
  std::string words = name_of(gpu.health.state);
  for (const HealthReason& reason : gpu.health.reasons) words += ", " + reason.code;
  return words;
}

void add_unless_there(std::vector<std::string>& names, const std::optional<std::string>& name) {
  if (!name || name->empty()) return;
  if (std::find(names.begin(), names.end(), *name) == names.end()) names.push_back(*name);
}

struct Alias {
  const char* name;
  const char* vendor;
};

constexpr std::array<Alias, 14> kVendorAliases{{{"nvidia", "nvidia"},
                                                {"nvidia corporation", "nvidia"},
                                                {"nv", "nvidia"},
                                                {"10de", "nvidia"},
                                                {"amd", "amd"},
                                                {"ati", "amd"},
                                                {"amd/ati", "amd"},
                                                {"amdgpu", "amd"},
                                                {"advanced micro devices", "amd"},
                                                {"advanced micro devices inc", "amd"},
                                                {"1002", "amd"},
                                                {"intel", "intel"},
                                                {"intel corporation", "intel"},
                                                {"8086", "intel"}}};

}  // namespace

Traits traits_of(const Gpu& gpu) {
  Traits traits;
  traits.vendor = gpu.vendor;
  add_unless_there(traits.names, gpu.model);
  for (const std::string& name : gpu.names) add_unless_there(traits.names, name);
  for (const auto& each : {gpu.architecture, gpu.chip, gpu.isa}) {
    if (each && !each->empty()) traits.architectures.push_back(*each);
  }
  traits.memory_bytes = gpu.memory_total_bytes;
  return traits;
}

std::optional<std::string> mismatch(const Wish& wish, const Traits& traits) {
  for (const auto& check :
       {vendor_mismatch, architecture_mismatch, model_mismatch, memory_mismatch}) {
    if (Words words = check(wish, traits)) return words;
  }
  return std::nullopt;
}

std::optional<std::string> obstacle(const Wish& wish, const Gpu& gpu, const std::vector<Gpu>& node,
                                    bool allow_integrated) {
  if (gpu.kind == GpuKind::vf) return "it is a `vf`, neither a GPU nor a partition";
  if (!gpu.usable) return "it is not usable here (" + health_words(gpu) + ")";
  if (!gpu.allotted) return "it is not allotted to this slot";
  const bool divided = std::any_of(node.begin(), node.end(), [&](const Gpu& each) {
    return each.parent_id && *each.parent_id == gpu.id;
  });
  if (divided) return "it is divided into partitions, which are listed by themselves";
  if (gpu.integrated && wish.models.empty() && !allow_integrated)
    return "it is integrated, and the wish does not name its model";
  return std::nullopt;
}

std::optional<std::string> vendor_named(std::string_view text) {
  std::string words(text);
  for (char& c : words) {
    if (c == ',' || c == '.') c = ' ';
  }
  words = plain(words);
  constexpr std::string_view kBracket = "[amd/ati]";
  if (const std::size_t at = words.find(kBracket); at != std::string::npos)
    words = plain(words.replace(at, kBracket.size(), ""));
  if (words.compare(0, 2, "0x") == 0) words.erase(0, 2);
  const auto* found = std::find_if(kVendorAliases.begin(), kVendorAliases.end(),
                                   [&](const Alias& each) { return words == each.name; });
  if (found == kVendorAliases.end()) return std::nullopt;
  return found->vendor;
}

}  // namespace gpuctl::gpu
