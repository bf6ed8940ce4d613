// Chip name -> architecture and instruction set, first rule that fits. NVIDIA: the compute
// capability of the CUDA programming guide; AMD: the gfx names of LLVM's AMDGPU back end; Intel:
// the marketing architecture.
#include <algorithm>
#include <iterator>

#include "gpuctl/gpu/catalogue.hpp"

namespace gpuctl::gpu {
namespace {

struct Rule {
  const char* prefix;  // of the chip, or of the model where the chip is unknown
  const char* architecture;
  const char* isa;  // nullptr: not one for all, or not known for certain
};

constexpr Rule kNvidiaRules[] = {
    {"GB110", "Blackwell", "sm_103"}, {"GB10B", "Blackwell", "sm_110"},
    {"GB20B", "Blackwell", "sm_121"}, {"GB10", "Blackwell", "sm_100"},
    {"GB20", "Blackwell", "sm_120"},  {"GB", "Blackwell", nullptr},
    {"GH100", "Hopper", "sm_90"},     {"GH", "Hopper", nullptr},
    {"AD10", "Ada", "sm_89"},         {"GA100", "Ampere", "sm_80"},
    {"GA10B", "Ampere", "sm_87"},     {"GA10", "Ampere", "sm_86"},
    {"TU1", "Turing", "sm_75"},       {"GV100", "Volta", "sm_70"},
    {"GV11B", "Volta", "sm_72"},      {"GP100", "Pascal", "sm_60"},
    {"GP10B", "Pascal", "sm_62"},     {"GP10", "Pascal", "sm_61"},
    {"GM20B", "Maxwell", "sm_53"},    {"GM20", "Maxwell", "sm_52"},
    {"GM10", "Maxwell", "sm_50"},     {"GK210", "Kepler", "sm_37"},
    {"GK110", "Kepler", "sm_35"},     {"GK208", "Kepler", "sm_35"},
    {"GK20A", "Kepler", "sm_32"},     {"GK10", "Kepler", "sm_30"},
    {"GK", "Kepler", nullptr},        {"GF100", "Fermi", "sm_20"},
    {"GF110", "Fermi", "sm_20"},      {"GF1", "Fermi", "sm_21"},
    {"GT2", "Tesla", nullptr},        {"G8", "Tesla", nullptr},
    {"G9", "Tesla", nullptr},
};

constexpr Rule kAmdRules[] = {
    {"Vega 10", "GCN5", "gfx900"},
    {"Vega 12", "GCN5", "gfx904"},
    {"Vega 20", "GCN5", "gfx906"},
    {"Arcturus", "CDNA", "gfx908"},
    {"Aldebaran", "CDNA2", "gfx90a"},
    {"Aqua Vanjaram", "CDNA3", "gfx942"},
    {"Instinct MI35", "CDNA4", "gfx950"},
    {"Navi 10", "RDNA", "gfx1010"},
    {"Navi 12", "RDNA", "gfx1011"},
    {"Navi 14", "RDNA", "gfx1012"},
    {"Navi 21", "RDNA2", "gfx1030"},
    {"Navi 22", "RDNA2", "gfx1031"},
    {"Navi 23", "RDNA2", "gfx1032"},
    {"Navi 24", "RDNA2", "gfx1034"},
    {"Navi 31", "RDNA3", "gfx1100"},
    {"Navi 32", "RDNA3", "gfx1101"},
    {"Navi 33", "RDNA3", "gfx1102"},
    {"Navi 44", "RDNA4", "gfx1200"},
    {"Navi 48", "RDNA4", "gfx1201"},
    {"Raven", "GCN5", nullptr},
    {"Picasso", "GCN5", nullptr},
    {"Renoir", "GCN5", "gfx90c"},
    {"Lucienne", "GCN5", "gfx90c"},
    {"Cezanne", "GCN5", "gfx90c"},
    {"Barcelo", "GCN5", "gfx90c"},
    {"VanGogh", "RDNA2", "gfx1033"},
    {"Rembrandt", "RDNA2", "gfx1035"},
    {"Raphael", "RDNA2", "gfx1036"},
    {"Phoenix", "RDNA3", "gfx1103"},
    {"Strix Halo", "RDNA3.5", "gfx1151"},
    {"Strix", "RDNA3.5", "gfx1150"},
    {"Krackan", "RDNA3.5", "gfx1152"},
    {"Fiji", "GCN3", "gfx803"},
    {"Tonga", "GCN3", "gfx802"},
    {"Ellesmere", "GCN4", "gfx803"},
    {"Baffin", "GCN4", "gfx803"},
    {"Polaris", "GCN4", "gfx803"},
    {"Lexa", "GCN4", "gfx803"},
    {"Topaz", "GCN3", "gfx802"},
    {"Hawaii", "GCN2", "gfx701"},
    {"Bonaire", "GCN2", "gfx704"},
    {"Tahiti", "GCN1", "gfx600"},
    {"Pitcairn", "GCN1", "gfx601"},
    {"Cape Verde", "GCN1", "gfx601"},
    {"Oland", "GCN1", "gfx602"},
    {"Hainan", "GCN1", "gfx602"},
    {"Curacao", "GCN1", "gfx601"},
    {"Wimbledon", "GCN1", "gfx601"},
    {"Neptune", "GCN1", "gfx601"},
    {"Trinidad", "GCN1", "gfx601"},
    {"Venus", "GCN1", "gfx601"},
    {"Heathrow", "GCN1", "gfx601"},
    {"Chelsea", "GCN1", "gfx601"},
    {"Mars", "GCN1", "gfx602"},
    {"Sun ", "GCN1", "gfx602"},
    {"Malta", "GCN1", "gfx600"},
    {"New Zealand", "GCN1", "gfx600"},
    {"Vesuvius", "GCN2", "gfx701"},
    {"Grenada", "GCN2", "gfx701"},
    {"Saturn", "GCN2", "gfx704"},
    {"Tobago", "GCN2", "gfx704"},
    {"Kaveri", "GCN2", "gfx700"},
    {"Godavari", "GCN2", "gfx700"},
    {"Kabini", "GCN2", "gfx703"},
    {"Mullins", "GCN2", "gfx703"},
    {"Carrizo", "GCN3", "gfx801"},
    {"Bristol", "GCN3", "gfx801"},
    {"Wani", "GCN3", "gfx801"},
    {"Stoney", "GCN3", "gfx810"},
    {"Amethyst", "GCN3", "gfx802"},
    {"Antigua", "GCN3", "gfx802"},
    {"Weston", "GCN3", "gfx802"},
    {"Mendocino", "RDNA2", "gfx1037"},
    {"HawkPoint", "RDNA3", "gfx1103"},
    {"Hawk Point", "RDNA3", "gfx1103"},
    {"Van Gogh", "RDNA2", "gfx1033"},
    {"Granite Ridge", "RDNA2", "gfx1036"},
    {"Turks", "TeraScale 2", nullptr},
    {"Cayman", "TeraScale 3", nullptr},
};

constexpr Rule kIntelRules[] = {
    {"Ponte Vecchio", "Xe-HPC", nullptr},
    {"ATS-M", "Xe-HPG", nullptr},
    {"DG2", "Xe-HPG", nullptr},
    {"Battlemage", "Xe2-HPG", nullptr},
    {"Lunar Lake", "Xe2-LPG", nullptr},
    {"Panther Lake", "Xe3-LPG", nullptr},
    {"Meteor Lake", "Xe-LPG", nullptr},
    {"Arrow Lake", "Xe-LPG", nullptr},
    {"DG1", "Xe-LP", nullptr},
    {"SG1", "Xe-LP", nullptr},
    {"Tiger", "Xe-LP", nullptr},
    {"Rocket", "Xe-LP", nullptr},
    {"Alder", "Xe-LP", nullptr},
    {"Raptor", "Xe-LP", nullptr},
};

struct Generation {
  std::uint16_t first;
  std::uint16_t last;
  const char* architecture;
};

// Sorted; the ids between are no GPU, or not known.
constexpr Generation kIntelGenerations[] = {
    {0x0042, 0x004a, "Gen5"},    {0x0102, 0x0126, "Gen6"},    {0x0152, 0x0176, "Gen7"},
    {0x0402, 0x042e, "Gen7.5"},  {0x0a02, 0x0a2e, "Gen7.5"},  {0x0a84, 0x0a84, "Gen9"},
    {0x0b69, 0x0b6e, "Xe-HPC"},  {0x0bd0, 0x0bdb, "Xe-HPC"},  {0x0c02, 0x0d36, "Gen7.5"},
    {0x0f30, 0x0f33, "Gen7"},    {0x1602, 0x163e, "Gen8"},    {0x1902, 0x193d, "Gen9"},
    {0x1a84, 0x1a85, "Gen9"},    {0x22b0, 0x22b3, "Gen8"},    {0x2582, 0x2592, "Gen3"},
    {0x2772, 0x27ae, "Gen3"},    {0x2972, 0x29a3, "Gen4"},    {0x29b2, 0x29d3, "Gen3"},
    {0x2a02, 0x2a43, "Gen4"},    {0x2e02, 0x2e93, "Gen4"},    {0x3184, 0x3185, "Gen9"},
    {0x3e90, 0x3ea9, "Gen9"},    {0x4541, 0x4571, "Gen11"},   {0x4626, 0x46d4, "Xe-LP"},
    {0x4905, 0x4909, "Xe-LP"},   {0x4c80, 0x4c9a, "Xe-LP"},   {0x4e51, 0x4e71, "Gen11"},
    {0x4f80, 0x4f88, "Xe-HPG"},  {0x5690, 0x56c2, "Xe-HPG"},  {0x5902, 0x593b, "Gen9"},
    {0x5a40, 0x5a5c, "Gen10"},   {0x5a84, 0x5a85, "Gen9"},    {0x6420, 0x64b0, "Xe2-LPG"},
    {0x674c, 0x6750, "Xe3P"},    {0x7d40, 0x7dd5, "Xe-LPG"},  {0x87c0, 0x87ca, "Gen9"},
    {0x8a50, 0x8a71, "Gen11"},   {0x9840, 0x9841, "Gen11"},   {0x9a40, 0x9af8, "Xe-LP"},
    {0x9b21, 0x9bf6, "Gen9"},    {0xa001, 0xa012, "Gen3"},    {0xa720, 0xa7ad, "Xe-LP"},
    {0xb080, 0xb0b0, "Xe3-LPG"}, {0xb640, 0xb640, "Xe-LPG"},  {0xd740, 0xd75f, "Xe3P-LPG"},
    {0xe202, 0xe223, "Xe2-HPG"}, {0xfd80, 0xfd81, "Xe3-LPG"},
};

constexpr std::uint16_t kFirstDg1 = 0x4905;  // cards with the architecture of processors
constexpr std::uint16_t kLastDg1 = 0x4909;

template <std::size_t N>
Architecture first_fit(const Rule (&rules)[N], const std::string& text) {
  const Rule* rule = std::find_if(std::begin(rules), std::end(rules), [&](const Rule& each) {
    return text.rfind(each.prefix, 0) == 0;
  });
  if (rule == std::end(rules)) return {};
  Architecture found;
  found.name = rule->architecture;
  if (rule->isa != nullptr) found.isa = rule->isa;
  return found;
}

}  // namespace

Architecture architecture_of(std::uint16_t vendor, const ChipAndModel& names) {
  const std::string text = names.chip.value_or(names.model.value_or(""));
  switch (vendor) {
    case kVendorNvidia: return first_fit(kNvidiaRules, text);
    case kVendorAmd: return first_fit(kAmdRules, text);
    case kVendorIntel: return first_fit(kIntelRules, text);
    default: return {};
  }
}

std::optional<std::string> intel_architecture(std::uint16_t device) {
  const auto* found = std::find_if(
      std::begin(kIntelGenerations), std::end(kIntelGenerations),
      [&](const Generation& each) { return device >= each.first && device <= each.last; });
  if (found == std::end(kIntelGenerations)) return std::nullopt;
  return std::string(found->architecture);
}

std::optional<bool> is_discrete_intel(const std::optional<std::string>& architecture,
                                      std::uint16_t device) {
  if (device >= kFirstDg1 && device <= kLastDg1) return true;
  if (!architecture) return std::nullopt;
  return *architecture == "Xe-HPC" || *architecture == "Xe-HPG" || *architecture == "Xe2-HPG" ||
         *architecture == "Xe3P";
}

}  // namespace gpuctl::gpu
