// The details of one GPU's PCI function.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "attributes.hpp"
#include "driver_details.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/pci.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::size_t kConfigHeaderBytes = 64;  // all that an unprivileged reader gets
constexpr std::size_t kConfigRevision = 8;
constexpr std::uint64_t kMaxRevision = 0xff;
constexpr std::uint64_t kAllOnesRevision = 0xff;
constexpr std::int64_t kMaxNumaNode = 1 << 20;
constexpr std::uint64_t kMaxVirtualFunctions = 0xffff;
constexpr std::size_t kMaskDigits = 8;  // per group of a CPU mask
constexpr unsigned kBitsPerGroup = 32;

// The first bytes of the configuration space; empty when it cannot be read (a recording has none).
std::string read_config_header(const Dir& device) {
  const Result<Fd> fd =
      open_at(device.fd(), "config", O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  if (!fd) return {};
  std::array<char, kConfigHeaderBytes> header{};
  const ssize_t count =
      retry_on_interrupt([&] { return ::read(fd->get(), header.data(), header.size()); });
  return count > 0 ? std::string(header.data(), static_cast<std::size_t>(count)) : std::string();
}

bool is_all_ones(const std::string& header) {
  return header.size() >= 4 && std::all_of(header.begin(), header.end(), [](char c) {
           return static_cast<unsigned char>(c) == 0xff;
         });
}

// A card in D3cold answers nothing and is well; reading its configuration space would wake it.
void read_config(const Dir& device, PciDetails& details) {
  if (details.power_state == "D3cold") return;
  const std::string header = read_config_header(device);
  details.config_all_ones = is_all_ones(header);
  if (!details.revision && !details.config_all_ones && header.size() > kConfigRevision) {
    details.revision = static_cast<std::uint8_t>(header[kConfigRevision]);
  }
}

void read_revision(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const auto revision = internal::read_hex(device, "revision", kMaxRevision, problems);
  if (revision) details.revision = static_cast<std::uint8_t>(*revision);
}

// -1 is unknown: one node, or a virtual machine that does not say.
void read_numa_node(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const auto node = internal::read_signed(device, "numa_node", problems);
  if (node && *node >= 0 && *node <= kMaxNumaNode) details.numa_node = static_cast<int>(*node);
}

void read_local_cpus(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const auto text = internal::read_text(device, "local_cpulist", problems);
  if (text && text->find_first_not_of("0123456789,-") == std::string::npos) {
    details.local_cpus = text;
    return;
  }
  if (text)
    problems.add({ErrorCode::malformed, 0, device.path() + "/local_cpulist", "no list of CPUs"});
  const auto mask = internal::read_text(device, "local_cpus", problems);
  if (!mask) return;
  const Result<std::string> list = cpu_list_of_mask(*mask);
  if (!list) return problems.add(list.error());
  if (!list->empty()) details.local_cpus = *list;
}

void read_driver(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const Result<std::optional<std::string>> link = device.link_basename("driver");
  if (link) {
    details.driver = *link;
    return;
  }
  details.driver_known = false;
  problems.add(link.error());
}

// How many are switched on; zero is what every card without them says.
void read_virtual_functions(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const auto count = internal::read_unsigned(device, "sriov_numvfs", problems);
  if (count && *count > 0 && *count <= kMaxVirtualFunctions)
    details.virtual_functions = static_cast<int>(*count);
}

void read_physical_function(const Dir& device, PciDetails& details, ProblemSink& problems) {
  const Result<std::optional<std::string>> link = device.link_basename("physfn");
  if (!link) return problems.add(link.error());
  if (!*link) return;
  const Result<PciAddress> address = PciAddress::parse(**link);
  if (!address) return problems.add(address.error());
  details.physical_function = *address;
}

// The driver's DRM minors are directories here: no need to search /sys/class/drm.
void read_drm_names(const Dir& device, PciDetails& details, ProblemSink& problems) {
  Result<Fd> fd = open_at(device.fd(), "drm", O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) {
    if (fd.error().code != ErrorCode::not_found) problems.add(fd.error());
    return;
  }
  const Dir drm(std::move(*fd), device.path() + "/drm");
  Result<std::vector<std::string>> names = drm.names();
  if (!names) return problems.add(names.error());
  details.drm_names = std::move(*names);
}

void append_range(std::string& list, unsigned first, unsigned last) {
  if (!list.empty()) list += ',';
  list += std::to_string(first);
  if (last != first) list += '-' + std::to_string(last);
}

}  // namespace

PciDetails read_pci_details(const Dir& device, ProblemSink& problems) {
  PciDetails details;
  read_driver(device, details, problems);
  read_revision(device, details, problems);
  read_numa_node(device, details, problems);
  read_local_cpus(device, details, problems);
  read_physical_function(device, details, problems);
  read_virtual_functions(device, details, problems);
  details.power_state = internal::read_text(device, "power_state", problems);
  read_config(device, details);
  if (details.revision == kAllOnesRevision) details.config_all_ones = true;
  read_drm_names(device, details, problems);
  const bool awake = !details.config_all_ones && details.power_state != "D3cold";
  if (awake) internal::read_pci_errors(device, details, problems);
  if (details.driver == "amdgpu") internal::read_amdgpu(device, awake, details, problems);
  if (details.driver == "i915" || details.driver == "xe")
    internal::read_intel(device, details, problems);
  return details;
}

Result<std::string> cpu_list_of_mask(std::string_view mask) {
  const std::vector<std::string_view> groups = split(mask, ',');
  std::string list;
  constexpr unsigned kNone = ~0U;
  unsigned start = kNone;
  unsigned cpu = 0;
  for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
    if (group->size() > kMaskDigits)
      return fail(ErrorCode::malformed, "", "CPU mask group of more than 32 bits");
    const Result<std::uint64_t> bits = parse_unsigned(*group, "CPU mask", 16, 0xffffffff);
    if (!bits) return fail(bits.error());
    for (unsigned bit = 0; bit < kBitsPerGroup; ++bit, ++cpu) {
      const bool set = (*bits >> bit & 1) != 0;
      if (set && start == kNone) start = cpu;
      if (!set && start != kNone) {
        append_range(list, start, cpu - 1);
        start = kNone;
      }
    }
  }
  if (start != kNone) append_range(list, start, cpu - 1);
  return list;
}

}  // namespace gpuctl::gpu
