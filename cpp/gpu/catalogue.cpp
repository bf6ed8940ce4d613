#include "gpuctl/gpu/catalogue.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace gpuctl::gpu {
namespace {

struct CatalogueRow {
  std::uint16_t device;
  const char* name;
};

#include "catalogue_data.inc"

template <std::size_t N>
std::optional<std::string_view> find_row(const CatalogueRow (&rows)[N], std::uint16_t device) {
  const auto* row =
      std::lower_bound(std::begin(rows), std::end(rows), device,
                       [](const CatalogueRow& a, std::uint16_t b) { return a.device < b; });
  if (row == std::end(rows) || row->device != device) return std::nullopt;
  return std::string_view(row->name);
}

}  // namespace

std::string_view catalogue_version() { return kCatalogueVersion; }

std::optional<std::string_view> catalogue_name(std::uint16_t vendor, std::uint16_t device) {
  switch (vendor) {
    case kVendorNvidia: return find_row(kNvidiaNames, device);
    case kVendorAmd: return find_row(kAmdNames, device);
    case kVendorIntel: return find_row(kIntelNames, device);
    default: return std::nullopt;
  }
}

}  // namespace gpuctl::gpu
