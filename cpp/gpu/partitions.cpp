// Parts of a GPU that are devices of their own: MIG instances, and AMD's compute partitions.
#include <algorithm>
#include <set>
#include <string_view>

#include "candidate.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu::internal {
namespace {

constexpr const char* kWhole = "SPX";

// What the part has from the whole: who it is, where it is, how it is.
Candidate part_of(const Candidate& parent, const std::string& name) {
  Candidate part = parent;
  part.gpu.kind = GpuKind::partition;
  part.gpu.parent_id = parent.gpu.id;
  part.gpu.id = parent.gpu.id + "." + name;
  part.gpu.uuid.reset();
  part.gpu.memory_total_bytes.reset();
  part.gpu.memory_source.reset();
  part.gpu.card_nodes.clear();
  part.gpu.virtual_functions.reset();
  part.evidence.partitions = 0;
  return part;
}

// "SPX" and friends; where the function does not tell, by the number of parts (MI300X has 8 dies, MI300A 6).
std::string mode_of(const Candidate& candidate, const KfdCard& card) {
  if (candidate.gpu.compute_partition) return *candidate.gpu.compute_partition;
  unsigned parts = static_cast<unsigned>(card.nodes.size());
  for (const KfdNode& node : card.nodes) parts = std::max(parts, node.partition + 1);
  switch (parts) {
    case 1: return kWhole;
    case 2: return "DPX";
    case 3: return "TPX";
    case 4: return "QPX";
    default: return "CPX";
  }
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The run of digits that starts at `at`.
std::string_view digits_at(std::string_view text, std::size_t at) {
  std::size_t end = at;
  while (end < text.size() && is_digit(text[end])) ++end;
  return text.substr(at, end - at);
}

}  // namespace

bool comes_before(const std::string& a, const std::string& b) {
  std::size_t same = 0;
  while (same < a.size() && same < b.size() && a[same] == b[same]) ++same;
  while (same > 0 && is_digit(a[same - 1])) --same;
  const std::string_view here = digits_at(a, same);
  const std::string_view there = digits_at(b, same);
  if (!here.empty() && !there.empty() && here.size() != there.size())
    return here.size() < there.size();
  return a < b;
}

// Computing in one needs the GPU's own node and the two capabilities.
Candidate candidate_of_mig(const Candidate& parent, const MigInstance& instance) {
  const std::string gi = std::to_string(instance.gpu_instance);
  const std::string ci = std::to_string(instance.compute_instance);
  Candidate part = part_of(parent, "mig-gi" + gi + "-ci" + ci);
  part.mig = instance;
  if (parent.gpu.uuid) part.gpu.mig_name = "MIG-" + *parent.gpu.uuid + "/" + gi + "/" + ci;
  part.gpu.device_nodes.insert(part.gpu.device_nodes.end(), instance.cap_nodes.begin(),
                               instance.cap_nodes.end());
  return part;
}

Candidate candidate_of_partition(const Candidate& parent, const std::string& mode,
                                 const KfdNode& node) {
  Candidate part = part_of(parent, to_lower(mode) + "-" + std::to_string(node.partition));
  part.gpu.device_nodes.clear();
  if (node.unique_id) part.gpu.unique_id = node.unique_id;
  add_kfd_node(part, node);
  part.kfd_links.reset();  // they are the card's: its parts are near each other anyhow
  return part;
}

namespace {

// Where KFD numbers them all alike, their order tells them apart.
bool are_numbered(const KfdCard& card) {
  std::set<unsigned> numbers;
  for (const KfdNode& node : card.nodes) numbers.insert(node.partition);
  return numbers.size() == card.nodes.size();
}

}  // namespace

void divide(Candidate& candidate, const KfdCard& card, std::vector<Candidate>& parts) {
  const std::string mode = mode_of(candidate, card);
  if (card.nodes.size() == 1 && mode == kWhole) return;
  candidate.gpu.compute_partition = mode;
  candidate.evidence.partitions = card.nodes.size();
  candidate.kfd_number.reset();
  candidate.kfd_links.reset();
  const bool numbered = are_numbered(card);
  unsigned place = 0;
  for (KfdNode node : card.nodes) {
    if (!numbered) node.partition = place;
    parts.push_back(candidate_of_partition(candidate, mode, node));
    ++place;
  }
}

}  // namespace gpuctl::gpu::internal
