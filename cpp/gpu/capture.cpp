#include "gpuctl/gpu/capture.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <deque>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/classify.hpp"
#include "gpuctl/gpu/mig.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {
namespace {

using Kind = CapturedFile::Kind;

constexpr std::size_t kConfigBytes = 64;   // beyond them may be a serial number (PCIe capability 3)
constexpr std::size_t kMaxEntries = 4096;  // of a directory: a machine has not more, a trap may

constexpr std::array<const char*, 7> kOfEveryFunction{
    "uevent", "class", "vendor", "device", "revision", "subsystem_vendor", "subsystem_device"};

// Files of a GPU's function. `serial_number` and `fru_id` are left out on purpose.
constexpr std::array<const char*, 27> kOfGpus{"modalias",
                                              "numa_node",
                                              "local_cpulist",
                                              "local_cpus",
                                              "power_state",
                                              "enable",
                                              "boot_vga",
                                              "sriov_numvfs",
                                              "sriov_totalvfs",
                                              "current_link_speed",
                                              "current_link_width",
                                              "max_link_speed",
                                              "max_link_width",
                                              "aer_dev_fatal",
                                              "aer_dev_nonfatal",
                                              "mem_info_vram_total",
                                              "mem_info_vis_vram_total",
                                              "mem_info_gtt_total",
                                              "mem_info_vram_vendor",
                                              "product_name",
                                              "unique_id",
                                              "current_compute_partition",
                                              "available_compute_partition",
                                              "current_memory_partition",
                                              "survivability_mode",
                                              "vbios_version",
                                              "tile_count"};

constexpr std::array<const char*, 3> kOfRas{"umc_err_count", "gfx_err_count", "gpu_vram_bad_pages"};
constexpr std::array<const char*, 4> kModules{"nvidia", "amdgpu", "i915", "xe"};

bool starts_with(const std::string& text, std::string_view prefix) {
  return text.compare(0, prefix.size(), prefix) == 0;
}

// "sys/bus/pci/devices" and "../../../devices/pci0000:00/0000:01:00.0" -> where that is; empty when it leaves the root.
std::string joined(const std::string& folder, const std::string& target) {
  std::vector<std::string_view> parts;
  if (target.empty() || target.front() != '/') parts = split(folder, '/');
  for (const std::string_view part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
      continue;
    }
    if (parts.empty()) return {};
    parts.pop_back();
  }
  std::string path;
  for (const std::string_view part : parts) path += (path.empty() ? "" : "/") + std::string(part);
  return path;
}

class Recorder {
 public:
  Recorder(const HostFs& fs, Scrubber& scrubber) : fs_(fs), scrubber_(scrubber) {}

  Capture run() {
    learn_unique_ids();
    take_functions();
    take_drm();
    take_kfd();
    take_nvidia();
    take_modules();
    take_device_nodes();
    return std::move(capture_);
  }

 private:
  void note(const Error& error) {
    if (error.code != ErrorCode::vanished && error.code != ErrorCode::not_found)
      capture_.problems.push_back({std::nullopt, error});
  }

  std::vector<std::string> names_in(const std::string& path) {
    const Result<std::optional<Dir>> dir = fs_.open_dir_if_present(path);
    if (!dir) note(dir.error());
    if (!dir || !*dir) return {};
    Result<std::vector<std::string>> names = (*dir)->names();
    if (!names) note(names.error());
    std::vector<std::string> found = std::move(names).value_or(std::vector<std::string>());
    if (found.size() > kMaxEntries) found.resize(kMaxEntries);
    return found;
  }

  void add(Kind kind, const std::string& path, std::string text) {
    if (done_.insert(path).second) capture_.files.push_back({kind, path, std::move(text)});
  }

  // Directories first, so that an archive can be unpacked in order.
  void add_directory(const std::string& path) {
    std::string part;
    for (const std::string_view name : split(path, '/')) {
      part += (part.empty() ? "" : "/") + std::string(name);
      add(Kind::directory, part, "");
    }
  }

  // Counters that firmware does not serve, attributes that this user may not read: the reader will miss them too.
  void take_file(const std::string& folder, const std::string& name) {
    const std::string path = folder + "/" + name;
    const Result<std::optional<std::string>> text = fs_.read_file_if_present(path);
    if (!text || !*text) return;
    add_directory(folder);
    add(Kind::file, path, scrubber_.scrub(**text) + "\n");
  }

  template <std::size_t N>
  void take_files(const std::string& folder, const std::array<const char*, N>& names) {
    for (const char* name : names) take_file(folder, name);
  }

  void take_link(const std::string& folder, const std::string& name) {
    const Result<std::optional<Dir>> dir = fs_.open_dir_if_present(folder);
    if (!dir || !*dir) return;
    const Result<std::optional<std::string>> target = (*dir)->link_target(name);
    if (!target || !*target || joined(folder, **target).empty()) return;
    add_directory(folder);
    add(Kind::link, folder + "/" + name, **target);
  }

  // Ids of cards, before any text is written: KFD says in decimal what the function says in hexadecimal.
  void learn_unique_ids() {
    for (const std::string& address : names_in(host_paths::kPciDevices)) {
      const auto text = fs_.read_file_if_present(std::string(host_paths::kPciDevices) + "/" +
                                                 address + "/unique_id");
      if (!text || !*text) continue;
      const Result<std::uint64_t> id = parse_unsigned(trim(**text), "unique id", 16);
      if (id) scrubber_.learn_unique_id(*id);
    }
    for (const std::string& node : names_in(host_paths::kKfdTopology)) {
      const auto text = fs_.read_file_if_present(std::string(host_paths::kKfdTopology) + "/" +
                                                 node + "/properties");
      if (text && *text) learn_from_properties(**text);
    }
  }

  void learn_from_properties(const std::string& text) {
    for (const std::string_view line : split(text, '\n')) {
      for (const std::string_view name : {"unique_id ", "hive_id "}) {
        if (line.substr(0, name.size()) != name) continue;
        const Result<std::uint64_t> id = parse_unsigned(trim(line.substr(name.size())), "id");
        if (id) scrubber_.learn_unique_id(*id);
      }
    }
  }

  void take_functions() {
    add_directory(host_paths::kPciDevices);
    for (const std::string& name : names_in(host_paths::kPciDevices)) {
      if (PciAddress::parse(name)) take_function(name);
    }
  }

  // Its entry is a link in the kernel, and a directory in some recordings.
  void take_function(const std::string& name) {
    const std::string entry = std::string(host_paths::kPciDevices) + "/" + name;
    take_link(host_paths::kPciDevices, name);
    const auto link = std::find_if(
        capture_.files.rbegin(), capture_.files.rend(),
        [&](const CapturedFile& each) { return each.kind == Kind::link && each.path == entry; });
    const bool linked = link != capture_.files.rend();
    const std::string folder = linked ? joined(host_paths::kPciDevices, link->text) : entry;
    take_files(folder, kOfEveryFunction);
    for (const char* each : {"driver", "physfn"}) take_link(folder, each);
    if (may_be_gpu(folder)) take_gpu(folder);
  }

  bool may_be_gpu(const std::string& folder) {
    const Result<std::optional<Dir>> dir = fs_.open_dir_if_present(folder);
    if (!dir || !*dir) return false;
    std::vector<Problem> ignored;
    ProblemSink problems(ignored);
    const PciIdentity identity = read_pci_identity(**dir, problems);
    if (identity.class_code) return is_gpu_class(*identity.class_code);
    return identity.vendor && is_gpu_vendor(*identity.vendor);
  }

  void take_gpu(const std::string& folder) {
    take_files(folder, kOfGpus);
    take_config(folder);
    take_files(folder + "/ras", kOfRas);
    for (const std::string& name : names_in(folder)) {
      if (starts_with(name, "virtfn")) take_link(folder, name);
      if (starts_with(name, "tile")) take_tile(folder + "/" + name);
    }
    for (const std::string& name : names_in(folder + "/drm")) take_minor(folder + "/drm/" + name);
  }

  void take_tile(const std::string& folder) {
    if (names_in(folder).empty()) return;
    add_directory(folder);
    take_file(folder, "physical_vram_size_bytes");
  }

  void take_minor(const std::string& folder) {
    add_directory(folder);
    take_file(folder, "lmem_total_bytes");
    for (const std::string& gt : names_in(folder + "/gt")) add_directory(folder + "/gt/" + gt);
  }

  // Not of a sleeping card: reading would wake it.
  void take_config(const std::string& folder) {
    const auto state = fs_.read_file_if_present(folder + "/power_state");
    if (state && *state && trim(**state) == "D3cold") return;
    const Result<Fd> fd = fs_.open_path(folder + "/config", O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    if (!fd) return;
    std::array<char, kConfigBytes> bytes{};
    const ssize_t size =
        retry_on_interrupt([&] { return ::read(fd->get(), bytes.data(), bytes.size()); });
    if (size > 0)
      add(Kind::file, folder + "/config",
          std::string(bytes.data(), static_cast<std::size_t>(size)));
  }

  // A card's own folder where its class entry is no link into a PCI function.
  void take_drm() {
    for (const std::string& name : names_in(host_paths::kDrmClass)) {
      if (!starts_with(name, "card") && !starts_with(name, "renderD")) continue;
      if (name.find('-') != std::string::npos) continue;  // a connector
      take_link(host_paths::kDrmClass, name);
      const std::string folder = std::string(host_paths::kDrmClass) + "/" + name;
      if (done_.count(folder) != 0) continue;
      take_files(folder + "/device", kOfEveryFunction);
      take_files(folder + "/device", kOfGpus);
      take_link(folder + "/device", "driver");
    }
  }

  void take_kfd() {
    const std::string nodes = host_paths::kKfdTopology;
    for (const std::string& node : names_in(nodes)) {
      const std::string folder = nodes + "/" + node;
      for (const char* name : {"properties", "gpu_id", "name"}) take_file(folder, name);
      for (const std::string& bank : names_in(folder + "/mem_banks"))
        take_file(folder + "/mem_banks/" + bank, "properties");
      for (const std::string& link : names_in(folder + "/io_links"))
        take_file(folder + "/io_links/" + link, "properties");
    }
  }

  void take_nvidia() {
    for (const std::string& gpu : names_in(host_paths::kNvidiaGpus)) {
      const std::string folder = std::string(host_paths::kNvidiaGpus) + "/" + gpu;
      add_directory(folder);
      for (const char* name : {"information", "numa_status", "power"}) take_file(folder, name);
    }
    take_file(host_paths::kNvidiaDriver, "version");
    take_capabilities(host_paths::kNvidiaCapabilities);
  }

  // gpuN/mig/giG/ciC/access: as deep as this, and no deeper.
  void take_capabilities(const std::string& top) {
    std::deque<std::pair<std::string, int>> folders{{top, 0}};
    while (!folders.empty()) {
      const auto [folder, depth] = folders.front();
      folders.pop_front();
      take_file(folder, "access");
      if (depth == 4) continue;
      for (const std::string& name : names_in(folder)) {
        if (starts_with(name, "gpu") || name == "mig" || starts_with(name, "gi") ||
            starts_with(name, "ci"))
          folders.emplace_back(folder + "/" + name, depth + 1);
      }
    }
  }

  void take_modules() {
    for (const char* name : kModules)
      take_file(std::string(host_paths::kModules) + "/" + name, "version");
    take_file(host_paths::kKernelSettings, "osrelease");
  }

  void take_device_nodes() {
    std::string text;
    const std::string dev = host_paths::kDev;
    for (const auto& [folder, prefix] :
         {std::make_pair(dev, "nvidia"), std::make_pair(dev, "kfd"),
          std::make_pair(dev + "/dri", "card"), std::make_pair(dev + "/dri", "renderD"),
          std::make_pair(dev + "/nvidia-caps", "nvidia-cap")}) {
      for (const std::string& name : names_in(folder)) {
        if (starts_with(name, prefix)) text += describe_node(folder, name);
      }
    }
    if (!text.empty()) add(Kind::file, "device-nodes", std::move(text));
  }

  // "/dev/nvidia0 0666 open": the mode, and whether this user may use it.
  std::string describe_node(const std::string& folder, const std::string& name) {
    const Result<Dir> dir = fs_.open_dir(folder);
    struct stat status{};
    if (!dir || ::fstatat(dir->fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISCHR(status.st_mode))
      return {};
    std::array<char, 16> mode{};
    std::snprintf(mode.data(), mode.size(), " %04o ",
                  static_cast<unsigned>(status.st_mode & 07777));
    const std::string node = "/" + folder + "/" + name;
    const bool open = ::faccessat(dir->fd(), name.c_str(), rights_to_use(node), AT_EACCESS) == 0;
    return node + mode.data() + (open ? "open" : "closed") + "\n";
  }

  const HostFs& fs_;
  Scrubber& scrubber_;
  Capture capture_;
  std::set<std::string> done_;
};

}  // namespace

Capture capture_node(const HostFs& fs, Scrubber& scrubber) { return Recorder(fs, scrubber).run(); }

}  // namespace gpuctl::gpu
