// Match: is a GPU of the kind that is wanted, and why not. The one place of the rules; the Python layer calls them.
//
// A model's words must be whole alphanumeric tokens of one of the GPU's names, in order, ignoring case: A10 is not A100, L4
// is not L40S. A catalogue name lists boards with `/`, and words are never mixed from two of them:
//     Vega 20 [Radeon Pro VII/Radeon Instinct MI50 32GB]   is   Vega 20 Radeon Pro VII
//                                                          or   Vega 20 Radeon Instinct MI50 32GB
// A later board may be short and then takes over what the first one begins with:
//     Navi 21 [Radeon RX 6800/6800 XT / 6900 XT]           is also   Navi 21 Radeon RX 6900 XT
// A memory size in the wanted name is no word: it is compared with the card's memory, within 7 %. What is unknown never
// fulfils a wish for it.
//
//   if (const auto why = mismatch({.models = {"MI50 32GB"}}, gpu)) say(*why);
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/gpu/gpu.hpp"

namespace gpuctl::gpu {

// Tools differ by that much about one card: 15109 to 15360 MiB for a T4.
inline constexpr std::uint64_t kMemoryTolerancePercent = 7;

// All constraints hold together; within one (several models, vendors, architectures) any of them will do. Empty: any.
struct Wish {
  std::vector<std::string> vendors;  // nvidia, amd, intel
  std::vector<std::string> models;
  std::vector<std::string> architectures;     // architecture, chip or isa
  std::optional<std::uint64_t> memory_bytes;  // the least that each GPU must have
  std::size_t count = 1;
};

// What the rules need to know of a GPU; the Python layer fills it from a record.
struct Traits {
  std::string vendor;
  std::vector<std::string> names;          // the model first
  std::vector<std::string> architectures;  // architecture, chip, isa
  std::optional<std::uint64_t> memory_bytes;
};

Traits traits_of(const Gpu& gpu);

// The first thing that does not fit, in words; nullopt: it is of the kind that is wanted.
std::optional<std::string> mismatch(const Wish& wish, const Traits& traits);

// Why it cannot serve a job, whatever is wanted: not usable, not allotted, divided, integrated; nullopt when it can.
std::optional<std::string> obstacle(const Wish& wish, const Gpu& gpu, const std::vector<Gpu>& node,
                                    bool allow_integrated);

// nvidia, amd or intel for one of its usual names ("NVIDIA Corporation", "ATI") or its PCI vendor id; nullopt for none.
std::optional<std::string> vendor_named(std::string_view text);

// A wanted model name, taken apart.
class WantedModel {
 public:
  explicit WantedModel(std::string_view text);

  const std::string& text() const { return text_; }
  const std::vector<std::string>& words() const { return words_; }
  const std::vector<std::uint64_t>& sizes_bytes() const { return sizes_; }

  // `with_sizes`: its sizes too, as words. The vendor's word may stand before a name that lacks it.
  bool in_name(std::string_view name, std::string_view vendor, bool with_sizes = false) const;

 private:
  std::string text_;
  std::vector<std::string> words_;
  std::vector<std::string> all_words_;
  std::vector<std::uint64_t> sizes_;
};

// The names that a catalogue name stands for; a plain name stands for itself.
std::vector<std::string> name_alternatives(std::string_view name);

}  // namespace gpuctl::gpu
