#include "gpuctl/gpu/nvidia_proc.hpp"

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::uint64_t kMaxMinor = 0xfffff;

void take_field(std::string_view key, std::string_view value, NvidiaProcGpu& gpu) {
  if (key == "Model" && !value.empty() && value != "Unknown") gpu.model = std::string(value);
  if (key == "GPU UUID" && !value.empty() && value.find('?') == std::string_view::npos) {
    gpu.uuid = std::string(value);
  }
  if (key == "GPU Excluded") gpu.excluded = value == "Yes";
  if (key == "Device Minor") {
    const Result<std::uint64_t> minor = parse_unsigned(value, "Device Minor", 10, kMaxMinor);
    if (minor) gpu.minor = static_cast<unsigned>(*minor);
  }
}

void read_entry(const HostFs& fs, const std::string& name, std::vector<NvidiaProcGpu>& gpus,
                ProblemSink& problems) {
  const std::string path = std::string(host_paths::kNvidiaGpus) + "/" + name;
  const Result<PciAddress> address = PciAddress::parse(name);
  if (!address) {
    Error error = address.error();
    error.path = fs.where(path);
    return problems.add(std::move(error));
  }
  const Result<std::optional<std::string>> text = fs.read_file_if_present(path + "/information");
  if (!text) problems.add(text.error());
  const bool readable = text && *text;
  gpus.push_back(readable ? parse_nvidia_information(*address, **text)
                          : NvidiaProcGpu{*address, {}, {}, {}, false});
}

}  // namespace

NvidiaProcGpu parse_nvidia_information(const PciAddress& address, std::string_view text) {
  NvidiaProcGpu gpu{address, {}, {}, {}, false};
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    take_field(trim(line.substr(0, colon)), trim(line.substr(colon + 1)), gpu);
  }
  return gpu;
}

std::vector<NvidiaProcGpu> read_nvidia_proc(const HostFs& fs, ProblemSink& problems) {
  std::vector<NvidiaProcGpu> gpus;
  const Result<std::optional<Dir>> dir = fs.open_dir_if_present(host_paths::kNvidiaGpus);
  if (!dir) problems.add(dir.error());
  if (!dir || !*dir) return gpus;
  const Result<std::vector<std::string>> names = (*dir)->names();
  if (!names) {
    problems.add(names.error());
    return gpus;
  }
  for (const std::string& name : *names) read_entry(fs, name, gpus, problems);
  std::sort(gpus.begin(), gpus.end(),
            [](const NvidiaProcGpu& a, const NvidiaProcGpu& b) { return a.address < b.address; });
  return gpus;
}

}  // namespace gpuctl::gpu
