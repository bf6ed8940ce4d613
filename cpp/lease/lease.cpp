#include "gpuctl/lease/lease.hpp"

#include "gpuctl/lease/drain.hpp"

namespace gpuctl::lease {

Unit unit_of(const gpu::Gpu& gpu) {
  return {gpu.id, gpu.pci_address ? gpu.pci_address->text() : "", gpu.uuid, gpu.parent_id};
}

bool overlap(const Unit& a, const Unit& b) {
  return a.id == b.id || a.parent_id == b.id || b.parent_id == a.id;
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
