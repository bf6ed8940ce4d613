#include "gpuctl/lease/lease.hpp"

#include <algorithm>
#include <string_view>

#include "gpuctl/lease/drain.hpp"

namespace gpuctl::lease {

namespace {

// Parts may have the unique id of their whole.
std::optional<std::string> uuid_of(const gpu::Gpu& gpu) {
  if (gpu.uuid || !gpu.unique_id || gpu.kind != gpu::GpuKind::gpu) return gpu.uuid;
  return "GPU-" + *gpu.unique_id;
}

bool is_same_card(const Unit& a, const Unit& b) {
  return a.uuid && a.uuid == b.uuid && !a.parent_id && !b.parent_id;
}

// "cpx" of "0000:63:00.0.cpx-3": how the whole is divided.
std::string_view mode_of(const Unit& part) {
  const std::string_view id = part.id;
  const std::string_view name = id.substr(std::min(part.parent_id->size() + 1, id.size()));
  return name.substr(0, name.find('-'));
}

// Divided anew, a GPU has other parts in the same place.
bool are_of_two_modes(const Unit& a, const Unit& b) {
  return a.parent_id && a.parent_id == b.parent_id && mode_of(a) != mode_of(b);
}

}  // namespace

Unit unit_of(const gpu::Gpu& gpu) {
  return {gpu.id, gpu.pci_address ? gpu.pci_address->text() : "", uuid_of(gpu), gpu.parent_id};
}

bool overlap(const Unit& a, const Unit& b) {
  return a.id == b.id || a.parent_id == b.id || b.parent_id == a.id || is_same_card(a, b) ||
         are_of_two_modes(a, b);
}

const char* name_of(State state) {
  switch (state) {
    case State::waiting: return "waiting";
    case State::prepared: return "prepared";
    case State::held: return "held";
    case State::releasing: return "releasing";
  }
  return "held";
}

const char* name_of(Way way) { return way == Way::recorded ? "recorded" : "held"; }

const char* name_of(DrainLevel level) {
  switch (level) {
    case DrainLevel::inform: return "inform";
    case DrainLevel::no_new_jobs: return "no-new-jobs";
    case DrainLevel::evict: return "evict";
  }
  return "no-new-jobs";
}

std::optional<DrainLevel> drain_level(const std::string& name) {
  for (const DrainLevel each : {DrainLevel::inform, DrainLevel::no_new_jobs, DrainLevel::evict}) {
    if (name == name_of(each)) return each;
  }
  return std::nullopt;
}

}  // namespace gpuctl::lease
