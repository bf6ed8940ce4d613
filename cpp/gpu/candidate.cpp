#include "candidate.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/classify.hpp"

namespace gpuctl::gpu::internal {
namespace {

const char* vendor_name(std::uint16_t vendor) {
  switch (vendor) {
    case kVendorNvidia: return "nvidia";
    case kVendorAmd: return "amd";
    case kVendorIntel: return "intel";
    default: return "unknown";
  }
}

std::string hex2(std::uint8_t value) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%02x", unsigned{value});
  return text.data();
}

Candidate make_candidate(std::uint16_t vendor, const std::optional<PciAddress>& address,
                         const std::string& id, const char* source) {
  Candidate candidate;
  candidate.vendor = vendor;
  candidate.gpu.pci_address = address;
  candidate.gpu.id = id;
  candidate.gpu.vendor = vendor_name(vendor);
  candidate.gpu.vendor_id = hex4(vendor);
  candidate.gpu.sources = {source};
  return candidate;
}

void set_device(Candidate& candidate, std::uint16_t device) {
  candidate.device = device;
  candidate.gpu.device_id = hex4(device);
}

void set_subsystem(Candidate& candidate, const std::optional<PciSubsystem>& subsystem) {
  if (subsystem)
    candidate.gpu.subsystem_id = hex4(subsystem->vendor) + ":" + hex4(subsystem->device);
}

void add_source(Gpu& gpu, const char* source) {
  if (std::find(gpu.sources.begin(), gpu.sources.end(), source) == gpu.sources.end())
    gpu.sources.emplace_back(source);
}

void add_name(Gpu& gpu, const std::string& name) {
  if (std::find(gpu.names.begin(), gpu.names.end(), name) == gpu.names.end())
    gpu.names.push_back(name);
}

bool is_ponte_vecchio(const Candidate& candidate) {
  return candidate.vendor == kVendorIntel && candidate.device &&
         intel_architecture(*candidate.device) == "Xe-HPC";
}

// AMD's processors with graphics (LLVM's AMDGPU guide: "APU"). MI300A, gfx942 too, is no such thing: it is for computing.
bool is_isa_of_processors(const std::string& isa) {
  static constexpr std::array<const char*, 16> kProcessors{
      "gfx700",  "gfx703",  "gfx801",  "gfx810",  "gfx902",  "gfx909",  "gfx90c",  "gfx1013",
      "gfx1033", "gfx1035", "gfx1036", "gfx1037", "gfx1103", "gfx1150", "gfx1151", "gfx1152"};
  return std::find(kProcessors.begin(), kProcessors.end(), isa) != kProcessors.end() ||
         isa == "gfx1153";
}

// A driver that is older than its card says this.
bool is_generic(const std::string& name) {
  return name.find("Graphics Device") != std::string::npos;
}

}  // namespace

std::string hex4(std::uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "%04x", value);
  return text.data();
}

Candidate candidate_of_function(const PciFunction& function) {
  Candidate candidate =
      make_candidate(function.vendor, function.address, function.address.text(), "pci");
  set_device(candidate, function.device);
  set_subsystem(candidate, function.subsystem);
  candidate.gpu.class_id = class_id_text(function.class_code);
  candidate.gpu.driver = function.driver;
  candidate.integrated_by_place = is_integrated(function, "");
  return candidate;
}

Candidate candidate_of_broken(const BrokenFunction& broken, std::uint16_t vendor) {
  Candidate candidate = make_candidate(vendor, broken.address, broken.address.text(), "pci");
  if (broken.known.device) set_device(candidate, *broken.known.device);
  set_subsystem(candidate, broken.known.subsystem);
  if (broken.known.class_code) candidate.gpu.class_id = class_id_text(*broken.known.class_code);
  candidate.gpu.driver = broken.known.driver;
  candidate.evidence.identity_gap = broken.detail;
  return candidate;
}

Candidate candidate_of_drm_card(const DrmCard& card) {
  Candidate candidate =
      make_candidate(*card.identity.vendor, std::nullopt, "drm:" + card.name, "drm");
  set_device(candidate, *card.identity.device);
  set_subsystem(candidate, card.identity.subsystem);
  candidate.gpu.class_id = class_id_text(*card.identity.class_code);
  candidate.gpu.driver = card.identity.driver;
  return candidate;
}

Candidate candidate_of_nvidia_proc(const NvidiaProcGpu& found) {
  Candidate candidate =
      make_candidate(kVendorNvidia, found.address, found.address.text(), "nvidia_proc");
  candidate.gpu.driver = "nvidia";  // it is this driver that lists the GPU
  return candidate;
}

Candidate candidate_of_kfd(const KfdNode& node, const PciAddress& address) {
  Candidate candidate = make_candidate(kVendorAmd, address, address.text(), "kfd");
  if (node.device != 0) set_device(candidate, node.device);
  candidate.gpu.driver = "amdgpu";  // KFD is a part of it
  return candidate;
}

void add_details(Candidate& candidate, const PciDetails& details) {
  Gpu& gpu = candidate.gpu;
  candidate.revision = details.revision;
  if (details.revision) gpu.revision = hex2(*details.revision);
  gpu.numa_node = details.numa_node;
  gpu.local_cpus = details.local_cpus;
  if (details.driver) gpu.driver = details.driver;
  if (details.physical_function) {
    gpu.kind = GpuKind::vf;
    gpu.parent_id = details.physical_function->text();
  }
  gpu.memory_total_bytes = details.vram_total_bytes;
  if (gpu.memory_total_bytes) gpu.memory_source = "driver";
  gpu.unique_id = details.unique_id;
  gpu.power_state = details.power_state;
  gpu.compute_partition = details.compute_partition;
  gpu.memory_partition = details.memory_partition;
  gpu.virtual_functions = details.virtual_functions;
  // Elsewhere the second GT that i915 shows is the media engine.
  if (gpu.driver == "xe" || is_ponte_vecchio(candidate)) gpu.tiles = details.tiles;
  if (details.product_name) candidate.driver_names.push_back(*details.product_name);
  const DrmNodes nodes = drm_nodes(details.drm_names);
  gpu.card_nodes = nodes.cards;
  if (gpu.driver != "nvidia") gpu.device_nodes = nodes.render;
  if (!nodes.cards.empty() || !nodes.render.empty()) add_source(gpu, "drm");
  candidate.evidence.driver_known = details.driver_known || gpu.driver.has_value();
  candidate.evidence.config_all_ones = details.config_all_ones;
  candidate.evidence.survivability = details.survivability;
  candidate.evidence.errors = details.errors;
  candidate.evidence.has_drm_card = !nodes.cards.empty() || !nodes.render.empty();
}

void add_nvidia_proc(Candidate& candidate, const NvidiaProcGpu& found) {
  Gpu& gpu = candidate.gpu;
  if (!gpu.driver) gpu.driver = "nvidia";
  add_source(gpu, "nvidia_proc");
  gpu.uuid = found.uuid;
  if (found.model && !is_generic(*found.model)) candidate.driver_names.push_back(*found.model);
  candidate.nvidia_minor = found.minor;
  if (found.minor) gpu.device_nodes = {host_paths::kNvidiaNode + std::to_string(*found.minor)};
  gpu.shared_nodes = {host_paths::kNvidiaUvmNode, host_paths::kNvidiaControlNode};
  candidate.evidence.excluded_by_driver = found.excluded;
}

void add_kfd(Candidate& candidate, const KfdCard& card) {
  Gpu& gpu = candidate.gpu;
  const KfdNode& first = card.first();
  candidate.evidence.in_kfd = true;
  add_source(gpu, "kfd");
  gpu.shared_nodes = {host_paths::kKfdNode};
  gpu.isa = first.isa;
  if (!gpu.unique_id) gpu.unique_id = first.unique_id;
  if (first.has_cpu_cores) candidate.integrated_by_place = true;
  if (card.nodes.size() == 1) add_kfd_node(candidate, first);
}

void add_kfd_node(Candidate& candidate, const KfdNode& node) {
  Gpu& gpu = candidate.gpu;
  candidate.kfd_number = node.number;
  candidate.kfd_links = node.links;
  gpu.compute_units = node.compute_units;
  if (!gpu.memory_total_bytes && node.memory_bytes) {
    gpu.memory_total_bytes = node.memory_bytes;
    gpu.memory_source = "kfd";
  }
  if (gpu.device_nodes.empty() && node.render_minor) {
    gpu.device_nodes = {std::string(host_paths::kDriNodes) + "renderD" +
                        std::to_string(*node.render_minor)};
  }
}

namespace {

// What the card's place, its chip and its instruction set say together.
bool is_integrated_gpu(const Candidate& candidate) {
  const Gpu& gpu = candidate.gpu;
  if (candidate.vendor == kVendorIntel && candidate.device) {
    const auto discrete = is_discrete_intel(gpu.architecture, *candidate.device);
    return discrete ? !*discrete : candidate.integrated_by_place;
  }
  const PciFunction by_chip{{}, 0, candidate.vendor, 0, {}, {}};
  return candidate.integrated_by_place || (gpu.chip && is_integrated(by_chip, *gpu.chip)) ||
         (gpu.isa && is_isa_of_processors(*gpu.isa));
}

void add_nominal_memory(Candidate& candidate) {
  Gpu& gpu = candidate.gpu;
  const bool whole = gpu.kind == GpuKind::gpu && !gpu.integrated;
  if (gpu.memory_total_bytes || !candidate.device || !whole) return;
  gpu.memory_total_bytes =
      nominal_memory({candidate.vendor, *candidate.device}, gpu.model, gpu.subsystem_id);
  if (gpu.memory_total_bytes) gpu.memory_source = "catalogue";
}

// The catalogue's model, or the one of its alternatives that the evidence leaves.
std::optional<std::string> model_of(const Candidate& candidate,
                                    const std::optional<std::string>& named) {
  if (!candidate.device) return named;
  const DeviceId id{candidate.vendor, *candidate.device};
  if (const auto board = board_model(id, candidate.gpu.subsystem_id)) return board;
  if (!named) return named;
  const auto memory = candidate.gpu.memory_total_bytes;
  return choose_model(*named,
                      {id, candidate.revision,
                       memory ? memory : nominal_memory(id, {}, candidate.gpu.subsystem_id)});
}

}  // namespace

void add_names(Candidate& candidate, const NameSource& source) {
  Gpu& gpu = candidate.gpu;
  ChipAndModel parts;
  std::optional<std::string> name;
  if (candidate.device) name = source.name({candidate.vendor, *candidate.device});
  if (name) {
    add_name(gpu, *name);
    parts = split_name(candidate.vendor, *name);
    gpu.chip = parts.chip;
  }
  gpu.model = model_of(candidate, parts.model);
  for (const std::string& each : candidate.driver_names) add_name(gpu, each);
  const bool ambiguous = !gpu.model || gpu.model->find('/') != std::string::npos;
  if (ambiguous && !candidate.driver_names.empty()) gpu.model = candidate.driver_names.front();
  const Architecture architecture = architecture_of(candidate.vendor, parts);
  gpu.architecture = architecture.name;
  if (!gpu.architecture && candidate.vendor == kVendorIntel && candidate.device)
    gpu.architecture = intel_architecture(*candidate.device);
  if (!gpu.isa) gpu.isa = architecture.isa;
  gpu.integrated = is_integrated_gpu(candidate);
  add_nominal_memory(candidate);
}

std::optional<std::string> DriverVersions::version_of(const std::string& driver) {
  const auto found = known_.find(driver);
  if (found != known_.end()) return found->second;
  const Result<std::optional<std::string>> text =
      fs_.read_file_if_present(std::string(host_paths::kModules) + "/" + driver + "/version");
  std::optional<std::string> version;
  if (text && *text && !trim(**text).empty()) version = std::string(trim(**text));
  known_.emplace(driver, version);
  return version;
}

}  // namespace gpuctl::gpu::internal
