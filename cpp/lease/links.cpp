#include "links.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>

namespace gpuctl::lease::internal {
namespace {

constexpr std::size_t kMostTried = 16;  // a node with more in one island gets of the first
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

// Sets are bits, one for each member. With 16 members and half of them wanted there are 12,870.
class Chooser {
 public:
  Chooser(const Gpus& members, std::size_t count, bool all_linked, const Gpus& wanted)
      : members_(members), count_(count), all_linked_(all_linked) {
    std::map<std::optional<int>, unsigned> numa_nodes;
    for (std::size_t a = 0; a < members.size(); ++a) {
      unsigned linked = 0;
      for (std::size_t b = 0; b < members.size(); ++b) {
        strengths_.push_back(a == b ? 0 : link_strength(*members[a], *members[b]));
        if (strengths_.back() != 0) linked |= bit(b);
      }
      linked_.push_back(linked);
      numa_nodes[members[a]->numa_node] |= bit(a);
      if (!contains(wanted, members[a])) unwanted_ |= bit(a);
    }
    for (const auto& [node, set] : numa_nodes) numa_sets_.push_back(set);
  }

  Gpus run() {
    const unsigned end = bit(members_.size());
    for (unsigned set = bit(count_) - 1; set < end; set = next(set)) consider(set);
    return best_ ? gpus_of(best_set_) : Gpus();
  }

 private:
  static unsigned bit(std::size_t member) { return 1U << member; }
  static std::size_t size(unsigned set) {
    return static_cast<std::size_t>(__builtin_popcount(set));
  }

  // The next greater number with as many bits (Gosper).
  static unsigned next(unsigned set) {
    const unsigned lowest = set & -set;
    const unsigned carried = set + lowest;
    return carried | ((set ^ carried) >> 2) / lowest;
  }

  Gpus gpus_of(unsigned set) const {
    Gpus gpus;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if ((set & bit(i)) != 0) gpus.push_back(members_[i]);
    }
    return gpus;
  }

  void consider(unsigned set) {
    Score score;
    if (!add_links(set, score)) return;
    score.unwanted = size(set & unwanted_);
    for (const unsigned node : numa_sets_) {
      if ((set & node) == 0) continue;
      ++score.numa_nodes;
      score.broken_numa += size(node & ~set);
    }
    if (best_ && !(score.key() < best_->key())) return;
    best_ = score;
    best_set_ = set;
  }

  // False: not all are linked that have to be.
  bool add_links(unsigned set, Score& score) const {
    for (std::size_t a = 0; a < members_.size(); ++a) {
      if ((set & bit(a)) == 0) continue;
      if (all_linked_ && (set & ~linked_[a] & ~bit(a)) != 0) return false;
      for (std::size_t b = 0; b < members_.size(); ++b) {
        const long strength = strengths_[a * members_.size() + b];
        if ((set & bit(b)) != 0) {
          score.inside -= strength;
        } else {
          score.outside += strength;
        }
      }
    }
    return true;
  }

  const Gpus& members_;
  std::size_t count_;
  bool all_linked_;
  std::vector<long> strengths_;  // of each member with each
  std::vector<unsigned> linked_;
  std::vector<unsigned> numa_sets_;
  unsigned unwanted_ = 0;
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
