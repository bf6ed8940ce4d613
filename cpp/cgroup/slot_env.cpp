#include "gpuctl/cgroup/slot_env.hpp"

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup {
namespace {

bool is_of_batch_system(std::string_view entry) {
  return entry.substr(0, 6) == "SLURM_" || entry.substr(0, 8) == "_CONDOR_";
}

}  // namespace

SlotEnv SlotEnv::from(const std::vector<std::string>& entries) {
  SlotEnv env;
  for (const std::string& entry : entries) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos && is_of_batch_system(entry))
      env.values_.emplace(entry.substr(0, equals), entry.substr(equals + 1));
  }
  return env;
}

std::optional<std::string> SlotEnv::find(const std::string& name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::uint64_t> SlotEnv::number(const std::string& name) const {
  const std::optional<std::string> text = find(name);
  const Result<std::uint64_t> value =
      text ? parse_unsigned(*text, name) : fail(ErrorCode::not_found, name, "not set");
  return value ? std::optional<std::uint64_t>(*value) : std::nullopt;
}

SlotEnv read_slot_env(const HostFs& fs, pid_t pid) {
  const Result<std::string> text = fs.read_file(
      std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/environ", 8U << 20);
  std::vector<std::string> entries;
  if (text) {
    for (const std::string_view entry : split(*text, '\0')) entries.emplace_back(entry);
  }
  return SlotEnv::from(entries);
}

}  // namespace gpuctl::cgroup
