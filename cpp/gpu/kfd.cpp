#include "gpuctl/gpu/kfd.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint64_t kHeapPublic = 1;   // HSA_HEAPTYPE_FRAME_BUFFER_PUBLIC
constexpr std::uint64_t kHeapPrivate = 2;  // HSA_HEAPTYPE_FRAME_BUFFER_PRIVATE
constexpr std::uint64_t kMaxTargetVersion = 999999;
constexpr std::uint64_t kMaxMinor = 0xfffff;
constexpr std::uint64_t kMaxComputeUnits = 1U << 20;
constexpr std::uint64_t kLinkXgmi = 11;   // CRAT_IOLINK_TYPE_XGMI
constexpr std::uint64_t kHopWeight = 15;  // KFD_CRAT_XGMI_WEIGHT; within a package 13
constexpr std::uint64_t kMaxLinks = 256;
constexpr std::uint64_t kBytesPerMb = 1'000'000;

using Properties = std::map<std::string, std::uint64_t, std::less<>>;

// "name value" lines; what is no number is left out (the files grow with each kernel).
Properties parse_properties(std::string_view text) {
  Properties properties;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const Result<std::uint64_t> value = parse_unsigned(trim(line.substr(blank + 1)), "property");
    if (value) properties.emplace(line.substr(0, blank), *value);
  }
  return properties;
}

std::optional<std::uint64_t> find(const Properties& properties, const char* name) {
  const auto found = properties.find(name);
  if (found == properties.end()) return std::nullopt;
  return found->second;
}

// location_id is bus << 8 | device << 3 | function; old kernels have no `domain`.
PciAddress address_of(const Properties& properties) {
  const std::uint64_t location = find(properties, "location_id").value_or(0);
  return PciAddress{static_cast<std::uint32_t>(find(properties, "domain").value_or(0)),
                    static_cast<std::uint8_t>(location >> 8 & 0xff),
                    static_cast<std::uint8_t>(location >> 3 & 0x1f),
                    static_cast<std::uint8_t>(location & 7)};
}

// kfd_topology_add_device() puts the partition's number into bits 31:28 of location_id, or (MI300, newer kernels) into
// those of the function.
unsigned partition_of(const Properties& properties) {
  return static_cast<unsigned>(find(properties, "location_id").value_or(0) >> 28 & 0xf);
}

std::optional<int> compute_units_of(const Properties& properties) {
  const std::uint64_t simds = find(properties, "simd_count").value_or(0);
  const std::uint64_t per_unit = find(properties, "simd_per_cu").value_or(0);
  if (per_unit == 0 || simds / per_unit == 0 || simds / per_unit > kMaxComputeUnits)
    return std::nullopt;
  return static_cast<int>(simds / per_unit);
}

// As amdgpu prints it: 16 digits.
std::optional<std::string> unique_id_of(const Properties& properties) {
  const std::uint64_t id = find(properties, "unique_id").value_or(0);
  if (id == 0) return std::nullopt;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(id));
  return std::string(text.data());
}

std::optional<std::uint64_t> frame_buffer_of_bank(const HostFs& fs, const std::string& path,
                                                  ProblemSink& problems) {
  const Result<std::optional<std::string>> text = fs.read_file_if_present(path + "/properties");
  if (!text) problems.add(text.error());
  if (!text || !*text) return std::nullopt;
  const Properties bank = parse_properties(**text);
  const std::uint64_t heap = find(bank, "heap_type").value_or(0);
  return heap == kHeapPublic || heap == kHeapPrivate ? find(bank, "size_in_bytes") : std::nullopt;
}

// local_mem_size is 0 on new kernels; the banks are the truth, and where neither tells, it is
// unknown.
std::optional<std::uint64_t> memory_of(const HostFs& fs, const std::string& path,
                                       const Properties& properties, ProblemSink& problems) {
  std::uint64_t total = 0;
  const Result<std::optional<Dir>> banks = fs.open_dir_if_present(path + "/mem_banks");
  if (banks && *banks) {
    for (const std::string& bank : (*banks)->names().value_or(std::vector<std::string>())) {
      total += frame_buffer_of_bank(fs, path + "/mem_banks/" + bank, problems).value_or(0);
    }
  }
  if (total == 0) total = find(properties, "local_mem_size").value_or(0);
  if (total == 0) return std::nullopt;
  return total;
}

// Kernels that count no links (`io_links_count`) have none to be read; each link is a file.
std::optional<std::vector<KfdLink>> links_of(const HostFs& fs, const std::string& path,
                                             const Properties& properties, ProblemSink& problems) {
  const std::optional<std::uint64_t> count = find(properties, "io_links_count");
  if (!count) return std::nullopt;
  std::vector<KfdLink> links;
  for (std::uint64_t number = 0; number < std::min(*count, kMaxLinks); ++number) {
    const Result<std::optional<std::string>> text =
        fs.read_file_if_present(path + "/io_links/" + std::to_string(number) + "/properties");
    if (!text && text.error().code != ErrorCode::permission) problems.add(text.error());
    if (!text || !*text) continue;
    if (const std::optional<KfdLink> link = parse_kfd_link(**text)) links.push_back(*link);
  }
  return links;
}

bool contains(const std::vector<PciAddress>& functions, const PciAddress& address) {
  return std::find(functions.begin(), functions.end(), address) != functions.end();
}

// The node with its function number told apart: of a PCI function, or of a partition.
KfdNode place(const KfdNode& node, const std::vector<PciAddress>& functions,
              const std::vector<KfdNode>& nodes) {
  KfdNode placed = node;
  if (node.address.function == 0 || node.partition != 0 || contains(functions, node.address))
    return placed;
  const bool slot_is_known =
      std::any_of(functions.begin(), functions.end(),
                  [&](const PciAddress& each) { return each.same_slot(node.address); }) ||
      std::count_if(nodes.begin(), nodes.end(),
                    [&](const KfdNode& each) { return each.address.same_slot(node.address); }) > 1;
  if (!slot_is_known) return placed;
  placed.partition = node.address.function;
  placed.address.function = 0;
  return placed;
}

// Newer kernels give each partition a unique id of its own, older ones that of the card.
bool is_part_of(const KfdCard& card, const KfdNode& node) {
  return card.first().address == node.address && card.first().device == node.device &&
         std::none_of(card.nodes.begin(), card.nodes.end(), [&](const KfdNode& each) {
           return each.partition == node.partition && each.unique_id != node.unique_id;
         });
}

KfdNode node_of(unsigned number, const Properties& properties) {
  KfdNode node;
  node.number = number;
  node.address = address_of(properties);
  node.device = static_cast<std::uint16_t>(find(properties, "device_id").value_or(0));
  node.isa = isa_of_target_version(find(properties, "gfx_target_version").value_or(0));
  node.unique_id = unique_id_of(properties);
  node.partition = partition_of(properties);
  node.compute_units = compute_units_of(properties);
  node.has_cpu_cores = find(properties, "cpu_cores_count").value_or(0) > 0;
  const std::optional<std::uint64_t> minor = find(properties, "drm_render_minor");
  if (minor && *minor > 0 && *minor <= kMaxMinor) node.render_minor = static_cast<unsigned>(*minor);
  return node;
}

bool is_gpu(const Properties& properties) {
  return find(properties, "simd_count").value_or(0) > 0;  // 0: a processor
}

std::optional<KfdNode> read_node(const HostFs& fs, unsigned number, const std::string& path,
                                 ProblemSink& problems) {
  const Result<std::optional<std::string>> text = fs.read_file_if_present(path + "/properties");
  if (!text && text.error().code != ErrorCode::permission) problems.add(text.error());
  if (!text || !*text) return std::nullopt;
  const Properties properties = parse_properties(**text);
  if (!is_gpu(properties)) return std::nullopt;
  KfdNode node = node_of(number, properties);
  node.memory_bytes = memory_of(fs, path, properties, problems);
  node.links = links_of(fs, path, properties, problems);
  return node;
}

}  // namespace

std::vector<KfdCard> KfdTopology::cards(const std::vector<PciAddress>& functions) const {
  std::vector<KfdCard> cards;
  for (const KfdNode& node : nodes) {
    const KfdNode placed = place(node, functions, nodes);
    const auto card = std::find_if(cards.begin(), cards.end(),
                                   [&](const KfdCard& each) { return is_part_of(each, placed); });
    if (card == cards.end()) {
      cards.push_back({{placed}});
    } else {
      card->nodes.push_back(placed);
    }
  }
  return cards;
}

std::optional<KfdNode> parse_kfd_properties(unsigned number, std::string_view text) {
  const Properties properties = parse_properties(text);
  if (!is_gpu(properties)) return std::nullopt;
  return node_of(number, properties);
}

std::optional<KfdLink> parse_kfd_link(std::string_view text) {
  const Properties properties = parse_properties(text);
  const std::optional<std::uint64_t> to = find(properties, "node_to");
  if (find(properties, "type") != kLinkXgmi || !to || *to > 0xffff) return std::nullopt;
  const std::uint64_t weight =
      std::min<std::uint64_t>(find(properties, "weight").value_or(0), 0xffff);
  const std::uint64_t bandwidth = find(properties, "max_bandwidth").value_or(0);
  KfdLink link;
  link.to = static_cast<unsigned>(*to);
  link.hops = static_cast<unsigned>(std::max<std::uint64_t>(weight / kHopWeight, 1));
  if (bandwidth > 0 && bandwidth < (1U << 30)) link.bandwidth_bytes_per_s = bandwidth * kBytesPerMb;
  return link;
}

namespace {

// Another one whenever GPUs come, go, or are divided; old kernels and recordings may lack it.
std::string generation_of(const HostFs& fs) {
  const Result<std::optional<std::string>> text =
      fs.read_file_if_present(host_paths::kKfdGeneration);
  return text && *text ? **text : std::string();
}

KfdTopology read_topology(const HostFs& fs, ProblemSink& problems, std::string& generation) {
  KfdTopology topology;
  const Result<std::optional<Dir>> dir = fs.open_dir_if_present(host_paths::kKfdTopology);
  if (!dir) problems.add(dir.error());
  if (!dir || !*dir) return topology;
  topology.present = true;
  generation = generation_of(fs);
  const Result<std::vector<std::string>> names = (*dir)->names();
  if (!names) problems.add(names.error());
  for (const std::string& name : names.value_or(std::vector<std::string>())) {
    const Result<std::uint64_t> number = parse_unsigned(name, "KFD node", 10, 0xffff);
    if (!number) continue;
    const std::string path = std::string(host_paths::kKfdTopology) + "/" + name;
    if (auto node = read_node(fs, static_cast<unsigned>(*number), path, problems))
      topology.nodes.push_back(*node);
  }
  std::sort(topology.nodes.begin(), topology.nodes.end(),
            [](const KfdNode& a, const KfdNode& b) { return a.number < b.number; });
  return topology;
}

}  // namespace

KfdTopology read_kfd(const HostFs& fs, ProblemSink& problems) {
  constexpr int kAttempts = 3;
  for (int attempt = 1;; ++attempt) {
    std::vector<Problem> found;
    ProblemSink sink(found);
    std::string generation;
    KfdTopology topology = read_topology(fs, sink, generation);
    if (attempt < kAttempts && topology.present && generation_of(fs) != generation) continue;
    for (const Problem& each : found) problems.add(each.error);
    return topology;
  }
}

std::optional<std::string> isa_of_target_version(std::uint64_t version) {
  if (version == 0 || version > kMaxTargetVersion) return std::nullopt;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "gfx%u%u%x", static_cast<unsigned>(version / 10000),
                static_cast<unsigned>(version / 100 % 100), static_cast<unsigned>(version % 100));
  return std::string(text.data());
}

}  // namespace gpuctl::gpu
