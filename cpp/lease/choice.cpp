#include "choice.hpp"

#include <algorithm>
#include <tuple>

#include "core.hpp"
#include "links.hpp"

namespace gpuctl::lease::internal {
namespace {

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
  if (request.together == Together::link && request.wish.count > 1 && !gpu.links)
    return "which GPUs it is linked to is not known";
  const Drain* drain = drains.empty() ? nullptr : find_drain(drains, unit_of(gpu));
  if (drain != nullptr && drain->level != DrainLevel::inform)
    return "it is drained: " + drain->reason;
  return std::nullopt;
}

bool is_busy(const gpu::Gpu& gpu) {
  return std::any_of(gpu.busy_by.begin(), gpu.busy_by.end(),
                     [](const gpu::Holder& each) { return !each.service; });
}

constexpr std::size_t kTiers = 4;

// 0 is the best.
std::size_t tier(const gpu::Gpu& gpu) {
  return (gpu.health.state == gpu::HealthState::ok ? 0U : 2U) + (is_busy(gpu) ? 1U : 0U);
}

bool is_far(const Request& request, const gpu::Gpu& gpu) {
  return request.near_numa_node && gpu.numa_node != request.near_numa_node;
}

// What would be broken up by taking one of them: the GPU that they are parts of, else their NUMA node.
bool are_of_one_group(const gpu::Gpu& a, const gpu::Gpu& b) {
  return a.parent_id == b.parent_id && (a.parent_id || a.numa_node == b.numa_node);
}

bool has_links(const gpu::Gpu* gpu) { return gpu->links && !gpu->links->empty(); }

struct Group {
  Gpus members;  // by address
  bool far = false;
  bool linked = false;
};

void add_by_place(const Request& request, const Gpus& gpus, std::vector<Group>& groups) {
  const auto before = static_cast<std::ptrdiff_t>(groups.size());
  for (const gpu::Gpu* each : gpus) {
    auto group = std::find_if(groups.begin() + before, groups.end(), [&](const Group& known) {
      return are_of_one_group(*known.members.front(), *each);
    });
    if (group == groups.end()) {
      group = groups.insert(group, Group());
      group->members.reserve(gpus.size());
    }
    group->members.push_back(each);
    group->far = is_far(request, *each);
  }
}

// Whoever has no free partner is in the group of its NUMA node; so are all when that is what they must have in common.
std::vector<Group> groups_of(const Request& request, const Gpus& free) {
  std::vector<Group> groups;
  const bool any_linked = std::any_of(free.begin(), free.end(), has_links);
  if (!any_linked || request.together == Together::numa_node) {
    add_by_place(request, free, groups);
    return groups;
  }
  Gpus alone;
  for (Gpus& island : islands_of(free)) {
    if (island.size() == 1) {
      alone.push_back(island.front());
      continue;
    }
    const bool far = std::all_of(island.begin(), island.end(),
                                 [&](const gpu::Gpu* each) { return is_far(request, *each); });
    groups.push_back({std::move(island), far, true});
  }
  add_by_place(request, alone, groups);
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
    if (a_alone && a.linked != b.linked) return a.linked == (count > 1);
    if (a.members.size() != b.members.size())
      return a_alone ? a.members.size() < b.members.size() : a.members.size() > b.members.size();
    return by_address(a.members.front(), b.members.front());
  });
}

Gpus take_from(const Group& group, std::size_t count) {
  if (count >= group.members.size()) return group.members;
  if (std::any_of(group.members.begin(), group.members.end(), has_links))
    return best_linked(group.members, count, false, group.members);
  return {group.members.begin(), group.members.begin() + static_cast<std::ptrdiff_t>(count)};
}

// The first group in which as many are linked each to each; `wanted` ones, where there is a choice.
Gpus pick_linked(const std::vector<Group>& groups, std::size_t count, const Gpus& wanted) {
  for (const Group& group : groups) {
    Gpus chosen = best_linked(group.members, count, true, wanted);
    if (!chosen.empty()) return chosen;
  }
  return {};
}

// `free` is sorted by address.
Gpus pick(const Request& request, const Gpus& free) {
  const std::size_t count = request.wish.count;
  std::vector<Group> groups = groups_of(request, free);
  order_groups(groups, count);
  if (request.together == Together::link) return pick_linked(groups, count, free);
  const bool together = request.together == Together::numa_node;
  Gpus chosen;
  for (const Group& group : groups) {
    if (together && group.members.size() < count) break;
    if (chosen.size() == count) break;
    for (const gpu::Gpu* each : take_from(group, count - chosen.size())) chosen.push_back(each);
  }
  if (chosen.size() < count) chosen.clear();
  return chosen;
}

// From the best tier alone, else with the next one too.
Gpus pick_by_tier(const Request& request, const Gpus& free) {
  Gpus good;
  good.reserve(free.size());
  for (std::size_t worst = 0; worst < kTiers; ++worst) {
    const std::size_t before = good.size();
    good.clear();
    for (const gpu::Gpu* each : free) {
      if (tier(*each) <= worst) good.push_back(each);
    }
    if (good.size() == before) continue;
    Gpus chosen = pick(request, good);
    if (!chosen.empty()) return chosen;
  }
  return {};
}

// What one that waits should collect, so that it is of use: where most are free already.
Gpus worth_collecting(const Request& request, const Gpus& candidates, const Gpus& free) {
  if (request.together == Together::anywhere) return {};
  const std::size_t count = request.wish.count;
  std::vector<Group> groups = groups_of(request, candidates);
  groups.erase(std::remove_if(groups.begin(), groups.end(),
                              [&](const Group& each) { return each.members.size() < count; }),
               groups.end());
  const auto free_in = [&](const Group& group) {
    return std::count_if(group.members.begin(), group.members.end(), [&](const gpu::Gpu* each) {
      return std::find(free.begin(), free.end(), each) != free.end();
    });
  };
  std::stable_sort(groups.begin(), groups.end(),
                   [&](const Group& a, const Group& b) { return free_in(a) > free_in(b); });
  if (request.together == Together::link) return pick_linked(groups, count, free);
  return groups.empty() ? Gpus() : groups.front().members;
}

// The order in which one that waits would take them.
Gpus by_preference(const Request& request, Gpus candidates, const Gpus& free) {
  const Gpus first = worth_collecting(request, candidates, free);
  const auto key = [&](const gpu::Gpu* each) {
    return std::tuple(std::find(first.begin(), first.end(), each) == first.end(), tier(*each),
                      is_far(request, *each));
  };
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](const gpu::Gpu* a, const gpu::Gpu* b) { return key(a) < key(b); });
  return candidates;
}

bool is_taken(const gpu::Gpu& gpu, const std::vector<Unit>& taken) {
  if (taken.empty()) return false;
  const Unit unit = unit_of(gpu);
  return std::any_of(taken.begin(), taken.end(),
                     [&](const Unit& each) { return overlap(unit, each); });
}

}  // namespace

Choice choose(const Request& request, const std::vector<gpu::Gpu>& node,
              const std::vector<Unit>& taken, const std::vector<Drain>& drains) {
  Choice choice;
  Gpus candidates;
  candidates.reserve(node.size());
  for (const gpu::Gpu& each : node) {
    if (auto words = why_not(request, each, node, drains)) {
      choice.rejected.emplace_back(each.id, *words);
    } else {
      candidates.push_back(&each);
    }
  }
  std::sort(candidates.begin(), candidates.end(), by_address);
  Gpus free;
  free.reserve(candidates.size());
  for (const gpu::Gpu* each : candidates) {
    if (!is_taken(*each, taken)) free.push_back(each);
  }
  choice.chosen = pick_by_tier(request, free);
  choice.possible = !choice.chosen.empty() || !pick_by_tier(request, candidates).empty();
  if (!choice.chosen.empty()) return choice;
  for (const gpu::Gpu* each : by_preference(request, candidates, free))
    choice.candidates.push_back(each->id);
  return choice;
}

}  // namespace gpuctl::lease::internal
