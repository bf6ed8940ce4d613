#include "links.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

namespace gpuctl::lease::internal {
namespace {

constexpr std::size_t kMostTried = 16;  // 2^16 sets; a node with more in one island gets the first
constexpr std::uint64_t kBytesPerGb = 1'000'000'000;

bool contains(const Gpus& gpus, const gpu::Gpu* gpu) {
  return std::find(gpus.begin(), gpus.end(), gpu) != gpus.end();
}

// Less is better.
struct Score {
  std::size_t unwanted = 0;
  long inside = 0;  // negative: the more the better
  long outside = 0;
  std::size_t numa_nodes = 0;
  std::size_t broken_numa = 0;  // members that stay behind on these

  auto key() const { return std::tie(unwanted, inside, outside, numa_nodes, broken_numa); }
};

class Chooser {
 public:
  Chooser(const Gpus& members, std::size_t count, bool all_linked, const Gpus& wanted)
      : members_(members), count_(count), all_linked_(all_linked), wanted_(wanted) {
    for (const gpu::Gpu* a : members) {
      for (const gpu::Gpu* b : members) strengths_.push_back(a == b ? 0 : link_strength(*a, *b));
    }
  }

  Gpus run() {
    for (unsigned set = 1; set < 1U << members_.size(); ++set) {
      if (static_cast<std::size_t>(__builtin_popcount(set)) == count_) consider(set);
    }
    return best_ ? gpus_of(best_set_) : Gpus();
  }

 private:
  static bool has(unsigned set, std::size_t member) { return (set >> member & 1U) != 0; }

  unsigned strength(std::size_t a, std::size_t b) const {
    return strengths_[a * members_.size() + b];
  }

  Gpus gpus_of(unsigned set) const {
    Gpus gpus;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (has(set, i)) gpus.push_back(members_[i]);
    }
    return gpus;
  }

  void consider(unsigned set) {
    Score score;
    if (!add_links(set, score)) return;
    add_places(set, score);
    if (best_ && !(score.key() < best_->key())) return;
    best_ = score;
    best_set_ = set;
  }

  // False: not all are linked that have to be.
  bool add_links(unsigned set, Score& score) const {
    for (std::size_t a = 0; a < members_.size(); ++a) {
      if (!has(set, a)) continue;
      for (std::size_t b = 0; b < members_.size(); ++b) {
        const unsigned found = strength(a, b);
        if (all_linked_ && a != b && has(set, b) && found == 0) return false;
        (has(set, b) ? score.inside : score.outside) += has(set, b) ? -long{found} : long{found};
      }
    }
    return true;
  }

  void add_places(unsigned set, Score& score) const {
    std::map<std::optional<int>, std::pair<bool, std::size_t>> nodes;  // touched, left behind
    for (std::size_t i = 0; i < members_.size(); ++i) {
      auto& [touched, left] = nodes[members_[i]->numa_node];
      if (has(set, i)) {
        touched = true;
        if (!contains(wanted_, members_[i])) ++score.unwanted;
      } else {
        ++left;
      }
    }
    for (const auto& [node, counts] : nodes) {
      if (!counts.first) continue;
      ++score.numa_nodes;
      score.broken_numa += counts.second;
    }
  }

  const Gpus& members_;
  std::size_t count_;
  bool all_linked_;
  const Gpus& wanted_;
  std::vector<unsigned> strengths_;
  std::optional<Score> best_;
  unsigned best_set_ = 0;
};

}  // namespace

unsigned link_strength(const gpu::Gpu& a, const gpu::Gpu& b) {
  if (!a.links) return 0;
  unsigned strength = 0;
  for (const gpu::Link& each : *a.links) {
    if (each.id != b.id || each.hops != 1) continue;
    const std::uint64_t gb = each.bandwidth_bytes_per_s.value_or(0) / kBytesPerGb;
    strength = std::max(strength, static_cast<unsigned>(std::clamp<std::uint64_t>(gb, 1, 100'000)));
  }
  return strength;
}

std::vector<Gpus> islands_of(const Gpus& gpus) {
  std::vector<Gpus> islands;
  Gpus left = gpus;
  while (!left.empty()) {
    Gpus island{left.front()};
    left.erase(left.begin());
    for (std::size_t at = 0; at < island.size(); ++at) {
      const auto end = std::stable_partition(left.begin(), left.end(), [&](const gpu::Gpu* each) {
        return link_strength(*island[at], *each) == 0;
      });
      island.insert(island.end(), end, left.end());
      left.erase(end, left.end());
    }
    std::sort(island.begin(), island.end(), [&](const gpu::Gpu* a, const gpu::Gpu* b) {
      return std::find(gpus.begin(), gpus.end(), a) < std::find(gpus.begin(), gpus.end(), b);
    });
    islands.push_back(std::move(island));
  }
  return islands;
}

Gpus best_linked(const Gpus& members, std::size_t count, bool all_linked, const Gpus& wanted) {
  if (members.size() < count || count == 0) return {};
  const std::size_t tried = std::max(std::min(members.size(), kMostTried), count);
  const Gpus some(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(tried));
  if (tried > kMostTried) return all_linked ? Gpus() : some;
  return Chooser(some, count, all_linked, wanted).run();
}

}  // namespace gpuctl::lease::internal
