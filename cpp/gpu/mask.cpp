#include "mask.hpp"

#include <algorithm>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu::internal {
namespace {

constexpr std::size_t kMaxSaid = 80;
constexpr std::uint64_t kMaxIndex = 1U << 20;
constexpr std::string_view kUuidTag = "gpu-";
constexpr std::string_view kMigTag = "mig-";

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// As a mask names it: "gpu-c0ffee00-…".
std::optional<std::string> mask_name(const Candidate& candidate) {
  if (candidate.vendor == kVendorNvidia && candidate.gpu.uuid) return to_lower(*candidate.gpu.uuid);
  if (candidate.vendor == kVendorAmd && candidate.gpu.unique_id)
    return std::string(kUuidTag) + to_lower(*candidate.gpu.unique_id);
  return std::nullopt;
}

}  // namespace

std::string said(const char* name, const std::string& value) {
  std::string shown = printable(value);
  if (shown.size() > kMaxSaid) shown = shown.substr(0, kMaxSaid) + "...";
  return std::string("`") + name + "=" + shown + "`";
}

std::vector<std::string_view> entries_of(std::string_view text) {
  std::vector<std::string_view> entries;
  if (trim(text).empty()) return entries;
  for (const std::string_view part : split(text, ',')) entries.push_back(trim(part));
  return entries;
}

std::optional<std::size_t> index_of(std::string_view entry) {
  const Result<std::uint64_t> value = parse_unsigned(entry, "index", 10, kMaxIndex);
  if (!value) return std::nullopt;
  return static_cast<std::size_t>(*value);
}

std::vector<std::size_t> with_uuid(const std::vector<Candidate>& candidates, std::uint16_t vendor,
                                   std::string_view entry) {
  std::vector<std::size_t> found;
  const std::string wanted = to_lower(entry);
  if (!starts_with(wanted, kUuidTag) || wanted.size() == kUuidTag.size()) return found;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& each = candidates[i];
    if (each.vendor != vendor || each.gpu.kind == GpuKind::vf) continue;
    // ROCr knows the parts of a divided card only, CUDA takes the whole for its first part.
    if (vendor == kVendorAmd && each.evidence.partitions > 0) continue;
    const std::optional<std::string> name = mask_name(each);
    if (name && starts_with(*name, wanted)) found.push_back(i);
  }
  return found;
}

std::optional<std::size_t> mig_by_instance(const std::vector<Candidate>& candidates,
                                           std::string_view entry) {
  const std::string wanted = to_lower(entry);
  if (!starts_with(wanted, std::string(kMigTag) + std::string(kUuidTag))) return std::nullopt;
  const std::vector<std::string_view> parts =
      split(std::string_view(wanted).substr(kMigTag.size()), '/');
  if (parts.size() != 3) return std::nullopt;
  const std::vector<std::size_t> parents = with_uuid(candidates, kVendorNvidia, parts[0]);
  const auto gi = index_of(parts[1]);
  const auto ci = index_of(parts[2]);
  if (parents.size() != 1 || !gi || !ci) return std::nullopt;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& each = candidates[i];
    if (each.gpu.parent_id == candidates[parents.front()].gpu.id && each.mig &&
        each.mig->gpu_instance == *gi && each.mig->compute_instance == *ci)
      return i;
  }
  return std::nullopt;
}

bool lacks_uuid(const std::vector<Candidate>& candidates, std::uint16_t vendor) {
  return std::any_of(candidates.begin(), candidates.end(), [&](const Candidate& each) {
    return each.vendor == vendor && each.gpu.kind == GpuKind::gpu && !mask_name(each);
  });
}

}  // namespace gpuctl::gpu::internal
