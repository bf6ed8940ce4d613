#include "taken.hpp"

#include <algorithm>
#include <utility>

namespace gpuctl::lease::internal {
namespace {

bool comes_before(const Core& core, const Stored& each, const std::optional<Turn>& turn) {
  if (each.lease.state != State::waiting || each.defect) return false;
  if (!turn) return true;
  const bool is_ours = each.lease.uid == core.uid && each.slot == turn->slot;
  return !is_ours && each.lease.ticket < turn->ticket;
}

const gpu::Gpu* find_gpu(const std::vector<gpu::Gpu>& node, const std::string& id) {
  const auto found =
      std::find_if(node.begin(), node.end(), [&](const gpu::Gpu& each) { return each.id == id; });
  return found == node.end() ? nullptr : &*found;
}

}  // namespace

Taken::Taken(const Core& core, const Book& book, const std::vector<gpu::Gpu>& node,
             const std::optional<Turn>& turn) {
  std::vector<const Stored*> before;
  for (const Stored& each : book.records) {
    if (comes_before(core, each, turn) && is_locked(core, book, each)) before.push_back(&each);
    if (each.lease.state == State::waiting) continue;
    for (const Unit& unit : each.lease.units)
      add(unit, "it is leased (" + each.lease.id + ", " + name_of(each.lease.state) + ")");
  }
  std::sort(before.begin(), before.end(), [](const Stored* a, const Stored* b) {
    return std::pair(a->lease.ticket, a->lease.uid) < std::pair(b->lease.ticket, b->lease.uid);
  });
  for (const Stored* each : before) promise(*each, node);
}

void Taken::add(const Unit& unit, const std::string& why) {
  units_.push_back(unit);
  why_.emplace(unit.id, why);
}

const std::string* Taken::why(const std::string& unit_id) const {
  const auto found = why_.find(unit_id);
  return found == why_.end() ? nullptr : &found->second;
}

void Taken::promise(const Stored& waiting, const std::vector<gpu::Gpu>& node) {
  std::vector<Unit> promised;
  for (const std::string& id : waiting.candidates) {
    const gpu::Gpu* gpu = promised.size() < waiting.wanted ? find_gpu(node, id) : nullptr;
    if (gpu == nullptr) continue;
    Unit unit = unit_of(*gpu);
    const bool overlaps = std::any_of(units_.begin(), units_.end(),
                                      [&](const Unit& each) { return overlap(unit, each); });
    if (!overlaps) promised.push_back(std::move(unit));
  }
  for (const Unit& unit : promised) add(unit, "it is promised to a request that came earlier");
}

Error shortage(std::size_t wanted, const Choice& choice, const Taken& taken) {
  const std::size_t known = choice.candidates.size();
  std::size_t free = 0;
  std::string each;
  for (const std::string& id : choice.candidates) {
    if (const std::string* why = taken.why(id)) {
      each += "; " + id + ": " + *why;
    } else {
      ++free;
    }
  }
  std::string words =
      count_of_gpus(wanted) + " wanted, " + std::to_string(known) + (known == 1 ? " fits" : " fit");
  if (known > 0) words += ", " + std::to_string(free) + " of them free";
  for (const auto& [id, why] : choice.rejected) each += "; " + id + ": " + why;
  return {ErrorCode::unavailable, 0, "", words + each};
}

std::string count_of_gpus(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " GPU" : " GPUs");
}

}  // namespace gpuctl::lease::internal
