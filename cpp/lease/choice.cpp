#include "choice.hpp"

#include <algorithm>
#include <map>
#include <tuple>

#include "core.hpp"

namespace gpuctl::lease::internal {
namespace {

using Gpus = std::vector<const gpu::Gpu*>;

bool contains(const std::vector<std::string>& ids, const std::string& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

bool wants_a_kind(const gpu::Wish& wish) {
  return !wish.vendors.empty() || !wish.models.empty() || !wish.architectures.empty() ||
         wish.memory_bytes;
}

std::optional<std::string> why_not(const Request& request, const gpu::Gpu& gpu,
                                   const std::vector<gpu::Gpu>& node,
                                   const std::vector<Drain>& drains) {
  if (!request.only.empty() && !contains(request.only, gpu.id)) return "it was not asked for";
  if (contains(request.exclude, gpu.id)) return "it is excluded";
  if (!gpu.pci_address) return "it has no PCI address, and cannot be reserved without";
  const bool named = !request.only.empty();
  if (auto words = gpu::obstacle(request.wish, gpu, node, request.allow_integrated || named))
    return words;
  if (wants_a_kind(request.wish)) {
    if (auto words = gpu::mismatch(request.wish, gpu::traits_of(gpu))) return words;
  }
  const Drain* drain = find_drain(drains, unit_of(gpu));
  if (drain != nullptr && drain->level != DrainLevel::inform)
    return "it is drained: " + drain->reason;
  return std::nullopt;
}

bool is_busy(const gpu::Gpu& gpu) {
  return std::any_of(gpu.busy_by.begin(), gpu.busy_by.end(),
                     [](const gpu::Holder& each) { return !each.service; });
}

int tier(const gpu::Gpu& gpu) {
  return (gpu.health.state == gpu::HealthState::ok ? 0 : 2) + (is_busy(gpu) ? 1 : 0);
}

bool is_far(const Request& request, const gpu::Gpu& gpu) {
  return request.near_numa_node && gpu.numa_node != request.near_numa_node;
}

// What would be broken up by taking one of its members.
std::string group_of(const gpu::Gpu& gpu) {
  if (gpu.parent_id) return "gpu " + *gpu.parent_id;
  return "node " + (gpu.numa_node ? std::to_string(*gpu.numa_node) : std::string("?"));
}

struct Group {
  Gpus members;  // by address
  bool far = false;
};

std::vector<Group> groups_of(const Request& request, const Gpus& free) {
  std::map<std::string, Group> by_name;
  for (const gpu::Gpu* each : free) {
    Group& group = by_name[group_of(*each)];
    group.members.push_back(each);
    group.far = is_far(request, *each);
  }
  std::vector<Group> groups;
  for (auto& [name, group] : by_name) groups.push_back(std::move(group));
  return groups;
}

bool by_address(const gpu::Gpu* a, const gpu::Gpu* b) {
  return std::tie(*a->pci_address, a->id) < std::tie(*b->pci_address, b->id);
}

// Groups that can serve alone, the tightest first; then the largest, so that few are touched.
void order_groups(std::vector<Group>& groups, std::size_t count) {
  std::sort(groups.begin(), groups.end(), [&](const Group& a, const Group& b) {
    const bool a_alone = a.members.size() >= count;
    const bool b_alone = b.members.size() >= count;
    if (a_alone != b_alone) return a_alone;
    if (a.far != b.far) return b.far;
    if (a.members.size() != b.members.size())
      return a_alone ? a.members.size() < b.members.size() : a.members.size() > b.members.size();
    return by_address(a.members.front(), b.members.front());
  });
}

// `free` is sorted by address.
Gpus pick(const Request& request, const Gpus& free) {
  const std::size_t count = request.wish.count;
  std::vector<Group> groups = groups_of(request, free);
  order_groups(groups, count);
  const bool together = request.together == Together::numa_node;
  Gpus chosen;
  for (const Group& group : groups) {
    if (together && group.members.size() < count) break;
    for (const gpu::Gpu* each : group.members) {
      if (chosen.size() < count) chosen.push_back(each);
    }
  }
  if (chosen.size() < count) chosen.clear();
  return chosen;
}

// From the best tier alone, else with the next one too.
Gpus pick_by_tier(const Request& request, const Gpus& free) {
  for (int worst = 0; worst <= 3; ++worst) {
    Gpus good;
    for (const gpu::Gpu* each : free) {
      if (tier(*each) <= worst) good.push_back(each);
    }
    Gpus chosen = pick(request, good);
    if (!chosen.empty()) return chosen;
  }
  return {};
}

// The order in which one that waits would take them: those of the group where most are free already, when they have to be
// of one, so that what it collects is of use.
Gpus by_preference(const Request& request, Gpus candidates, const Gpus& free) {
  std::map<std::string, int> free_in;
  if (request.together != Together::anywhere) {
    for (const gpu::Gpu* each : free) --free_in[group_of(*each)];
  }
  const auto key = [&](const gpu::Gpu* each) {
    const auto group = free_in.find(group_of(*each));
    return std::tuple(group == free_in.end() ? 0 : group->second, tier(*each),
                      is_far(request, *each));
  };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const gpu::Gpu* a, const gpu::Gpu* b) { return key(a) < key(b); });
  return candidates;
}

bool is_taken(const gpu::Gpu& gpu, const std::vector<Unit>& taken) {
  const Unit unit = unit_of(gpu);
  return std::any_of(taken.begin(), taken.end(),
                     [&](const Unit& each) { return overlap(unit, each); });
}

}  // namespace

Choice choose(const Request& request, const std::vector<gpu::Gpu>& node,
              const std::vector<Unit>& taken, const std::vector<Drain>& drains) {
  Choice choice;
  Gpus candidates;
  for (const gpu::Gpu& each : node) {
    if (auto words = why_not(request, each, node, drains)) {
      choice.rejected.emplace_back(each.id, *words);
    } else {
      candidates.push_back(&each);
    }
  }
  std::sort(candidates.begin(), candidates.end(), by_address);
  Gpus free;
  for (const gpu::Gpu* each : candidates) {
    if (!is_taken(*each, taken)) free.push_back(each);
  }
  for (const gpu::Gpu* each : pick_by_tier(request, free)) choice.chosen.push_back(each);
  choice.possible = !choice.chosen.empty() || !pick_by_tier(request, candidates).empty();
  for (const gpu::Gpu* each : by_preference(request, candidates, free))
    choice.candidates.push_back(each->id);
  return choice;
}

}  // namespace gpuctl::lease::internal
