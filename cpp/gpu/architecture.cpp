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
    {"Vega 10", "GCN5", "gfx900"},        {"Vega 12", "GCN5", "gfx904"},
    {"Vega 20", "GCN5", "gfx906"},        {"Arcturus", "CDNA", "gfx908"},
    {"Aldebaran", "CDNA2", "gfx90a"},     {"Aqua Vanjaram", "CDNA3", "gfx942"},
    {"Instinct MI35", "CDNA4", "gfx950"}, {"Navi 10", "RDNA", "gfx1010"},
    {"Navi 12", "RDNA", "gfx1011"},       {"Navi 14", "RDNA", "gfx1012"},
    {"Navi 21", "RDNA2", "gfx1030"},      {"Navi 22", "RDNA2", "gfx1031"},
    {"Navi 23", "RDNA2", "gfx1032"},      {"Navi 24", "RDNA2", "gfx1034"},
    {"Navi 31", "RDNA3", "gfx1100"},      {"Navi 32", "RDNA3", "gfx1101"},
    {"Navi 33", "RDNA3", "gfx1102"},      {"Navi 44", "RDNA4", "gfx1200"},
    {"Navi 48", "RDNA4", "gfx1201"},      {"Raven", "GCN5", nullptr},
    {"Picasso", "GCN5", nullptr},         {"Renoir", "GCN5", "gfx90c"},
    {"Lucienne", "GCN5", "gfx90c"},       {"Cezanne", "GCN5", "gfx90c"},
    {"Barcelo", "GCN5", "gfx90c"},        {"VanGogh", "RDNA2", "gfx1033"},
    {"Rembrandt", "RDNA2", "gfx1035"},    {"Raphael", "RDNA2", "gfx1036"},
    {"Phoenix", "RDNA3", "gfx1103"},      {"Strix Halo", "RDNA3.5", "gfx1151"},
    {"Strix", "RDNA3.5", "gfx1150"},      {"Krackan", "RDNA3.5", "gfx1152"},
    {"Fiji", "GCN3", "gfx803"},           {"Tonga", "GCN3", "gfx802"},
    {"Ellesmere", "GCN4", "gfx803"},      {"Baffin", "GCN4", "gfx803"},
    {"Polaris", "GCN4", "gfx803"},        {"Lexa", "GCN4", "gfx803"},
    {"Topaz", "GCN3", "gfx802"},          {"Hawaii", "GCN2", "gfx701"},
    {"Bonaire", "GCN2", "gfx704"},        {"Tahiti", "GCN1", "gfx600"},
    {"Pitcairn", "GCN1", "gfx601"},       {"Cape Verde", "GCN1", "gfx601"},
    {"Oland", "GCN1", "gfx602"},          {"Turks", "TeraScale 2", nullptr},
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

}  // namespace gpuctl::gpu
