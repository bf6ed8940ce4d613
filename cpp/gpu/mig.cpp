#include "gpuctl/gpu/mig.hpp"

#include <unistd.h>

#include <algorithm>
#include <tuple>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint64_t kMaxInstance = 0xffff;
constexpr std::uint64_t kMaxMinor = 0xfffff;

// "gi7" -> 7
std::optional<unsigned> number_behind(const std::string& name, std::string_view prefix) {
  if (std::string_view(name).substr(0, prefix.size()) != prefix) return std::nullopt;
  const Result<std::uint64_t> number =
      parse_unsigned(name.substr(prefix.size()), "MIG instance", 10, kMaxInstance);
  if (!number) return std::nullopt;
  return static_cast<unsigned>(*number);
}

std::vector<std::string> names_in(const HostFs& fs, const std::string& path,
                                  ProblemSink& problems) {
  const Result<std::optional<Dir>> dir = fs.open_dir_if_present(path);
  if (!dir) problems.add(dir.error());
  if (!dir || !*dir) return {};
  const Result<std::vector<std::string>> names = (*dir)->names();
  if (!names) problems.add(names.error());
  return names.value_or(std::vector<std::string>());
}

std::optional<std::string> node_of(const HostFs& fs, const std::string& path,
                                   ProblemSink& problems) {
  const Result<std::optional<std::string>> text = fs.read_file_if_present(path + "/access");
  if (!text) problems.add(text.error());
  if (!text || !*text) return std::nullopt;
  const std::optional<unsigned> minor = cap_minor(**text);
  if (!minor) return std::nullopt;
  return host_paths::kNvidiaCapNode + std::to_string(*minor);
}

void read_compute_instances(const HostFs& fs, const std::string& path, unsigned gpu_instance,
                            std::vector<MigInstance>& found, ProblemSink& problems) {
  const std::optional<std::string> outer = node_of(fs, path, problems);
  for (const std::string& name : names_in(fs, path, problems)) {
    const std::optional<unsigned> number = number_behind(name, "ci");
    if (!number) continue;
    MigInstance instance{gpu_instance, *number, {}};
    if (outer) instance.cap_nodes.push_back(*outer);
    if (const auto inner = node_of(fs, path + "/" + name, problems))
      instance.cap_nodes.push_back(*inner);
    found.push_back(std::move(instance));
  }
}

}  // namespace

bool is_cap_node(std::string_view path) {
  return path.find(host_paths::kNvidiaCapNode) != std::string_view::npos;
}

int rights_to_use(std::string_view path) { return is_cap_node(path) ? R_OK : R_OK | W_OK; }

std::optional<unsigned> cap_minor(std::string_view text) {
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || trim(line.substr(0, colon)) != "DeviceFileMinor")
      continue;
    const Result<std::uint64_t> minor =
        parse_unsigned(trim(line.substr(colon + 1)), "DeviceFileMinor", 10, kMaxMinor);
    if (minor) return static_cast<unsigned>(*minor);
  }
  return std::nullopt;
}

std::vector<MigInstance> read_mig_instances(const HostFs& fs, unsigned minor,
                                            ProblemSink& problems) {
  std::vector<MigInstance> found;
  const std::string mig =
      std::string(host_paths::kNvidiaCapabilities) + "/gpu" + std::to_string(minor) + "/mig";
  for (const std::string& name : names_in(fs, mig, problems)) {
    if (const auto number = number_behind(name, "gi"))
      read_compute_instances(fs, mig + "/" + name, *number, found, problems);
  }
  std::sort(found.begin(), found.end(), [](const MigInstance& a, const MigInstance& b) {
    return std::tie(a.gpu_instance, a.compute_instance) <
           std::tie(b.gpu_instance, b.compute_instance);
  });
  return found;
}

}  // namespace gpuctl::gpu
