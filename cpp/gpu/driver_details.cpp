#include "driver_details.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "attributes.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu::internal {
namespace {

constexpr std::size_t kMaxModeLength = 8;
constexpr std::array<const char*, 2> kRasBlocks{"umc", "gfx"};  // memory, shaders

// A directory below the function's own; absent is normal.
std::optional<Dir> open_below(const Dir& device, const std::string& name, ProblemSink& problems) {
  Result<Fd> fd = open_at(device.fd(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (fd) return Dir(std::move(*fd), device.path() + "/" + name);
  if (fd.error().code != ErrorCode::not_found) problems.add(fd.error());
  return std::nullopt;
}

// Counters answer EPERM, EINVAL or EBUSY where firmware or mode do not serve them: that says nothing about the GPU.
std::optional<std::string> read_quietly(const Dir& dir, const std::string& name) {
  Result<std::optional<std::string>> text = dir.read_if_present(name);
  return text ? std::move(*text) : std::nullopt;
}

// "SPX", "NPS4"; what is no such word ("UNKNOWN" in a virtual machine has the shape of one) is not known.
std::optional<std::string> partition_mode(const Dir& device, const char* name) {
  const std::optional<std::string> text = read_quietly(device, name);
  const std::string_view mode = text ? trim(*text) : std::string_view();
  const bool is_word =
      !mode.empty() && mode.size() <= kMaxModeLength &&
      mode.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == std::string_view::npos;
  if (!is_word || mode == "UNKNOWN") return std::nullopt;
  return std::string(mode);
}

void read_ras_block(const Dir& ras, const std::string& block, PciDetails& details) {
  const std::optional<std::string> text = read_quietly(ras, block + "_err_count");
  const std::uint64_t count = text ? counter_in(*text, "ue").value_or(0) : 0;
  if (count == 0) return;
  details.errors.push_back({"ras_uncorrectable", std::to_string(count) +
                                                     " uncorrectable errors in `" + block +
                                                     "` since the driver was loaded"});
}

// "0x00000001 : 0x00001000 : R": retired, P: waits for a reset, F: could not be retired.
void read_bad_pages(const Dir& ras, PciDetails& details) {
  const std::optional<std::string> text = read_quietly(ras, "gpu_vram_bad_pages");
  if (!text) return;
  std::size_t pending = 0;
  for (const std::string_view line : split(*text, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    const std::string_view flag = fields.size() == 3 ? trim(fields[2]) : std::string_view();
    if (flag == "P" || flag == "F") ++pending;
  }
  if (pending == 0) return;
  details.errors.push_back({"bad_pages_pending", std::to_string(pending) +
                                                     " bad pages of its memory are not retired "
                                                     "yet; reset it or reboot"});
}

std::optional<int> count_named(const Dir& dir, std::string_view prefix) {
  const Result<std::vector<std::string>> names = dir.names();
  if (!names) return std::nullopt;
  const auto is_numbered = [&](const std::string& name) {
    return name.size() == prefix.size() + 1 && name.compare(0, prefix.size(), prefix) == 0 &&
           name.back() >= '0' && name.back() <= '9';
  };
  const auto count = std::count_if(names->begin(), names->end(), is_numbered);
  if (count == 0) return std::nullopt;
  return static_cast<int>(count);
}

// xe shows each tile as a directory of the function.
void read_xe_tiles(const Dir& device, PciDetails& details, ProblemSink& problems) {
  details.tiles = count_named(device, "tile");
  std::uint64_t total = 0;
  for (int tile = 0; tile < details.tiles.value_or(0); ++tile) {
    const auto dir = open_below(device, "tile" + std::to_string(tile), problems);
    if (!dir) continue;
    total += read_unsigned(*dir, "physical_vram_size_bytes", problems).value_or(0);
  }
  if (total > 0) details.vram_total_bytes = total;
}

// i915 shows its GTs below the card. On an integrated GPU a second one is the media engine; only Ponte Vecchio has tiles.
void read_i915_card(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const auto is_card = [](const std::string& name) { return name.compare(0, 4, "card") == 0; };
  const auto card = std::find_if(details.drm_names.begin(), details.drm_names.end(), is_card);
  if (card == details.drm_names.end()) return;
  const auto dir = open_below(device, "drm/" + *card, problems);
  if (!dir) return;
  const auto memory = read_unsigned(*dir, "lmem_total_bytes", problems);
  if (memory && *memory > 0) details.vram_total_bytes = memory;
  if (const auto gts = open_below(*dir, "gt", problems)) details.tiles = count_named(*gts, "gt");
}

}  // namespace

std::optional<std::uint64_t> counter_in(std::string_view text, std::string_view name) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.substr(0, name.size()) != name) continue;
    std::string_view rest = line.substr(name.size());
    if (!rest.empty() && rest.front() == ':') rest.remove_prefix(1);
    if (rest.empty() || rest.front() != ' ') continue;
    const Result<std::uint64_t> value = parse_unsigned(trim(rest), "counter");
    if (value) return *value;
  }
  return std::nullopt;
}

void read_amdgpu(const Dir& device, bool awake, PciDetails& details, ProblemSink& problems) {
  const auto vram = read_unsigned(device, "mem_info_vram_total", problems);
  if (vram && *vram > 0) details.vram_total_bytes = vram;
  details.product_name = read_text(device, "product_name", problems);
  details.unique_id = read_text(device, "unique_id", problems);
  if (!awake) return;
  details.compute_partition = partition_mode(device, "current_compute_partition");
  details.memory_partition = partition_mode(device, "current_memory_partition");
  const auto ras = open_below(device, "ras", problems);
  if (!ras) return;
  for (const char* block : kRasBlocks) read_ras_block(*ras, block, details);
  read_bad_pages(*ras, details);
}

void read_intel(const Dir& device, PciDetails& details, ProblemSink& problems) {
  details.survivability = device.exists("survivability_mode");
  if (details.driver == "xe") return read_xe_tiles(device, details, problems);
  read_i915_card(device, details, problems);
}

void read_pci_errors(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const std::optional<std::string> text = read_text(device, "aer_dev_fatal", problems);
  const std::uint64_t count = text ? counter_in(*text, "TOTAL_ERR_FATAL").value_or(0) : 0;
  if (count == 0) return;
  details.errors.push_back(
      {"aer_fatal", std::to_string(count) + " fatal errors on its PCI link since boot"});
}

}  // namespace gpuctl::gpu::internal
