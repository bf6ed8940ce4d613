#include "gpuctl/proc/environment.hpp"

#include <algorithm>
#include <vector>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::proc {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{8} << 20;

bool holds(const std::string& environment, const std::string& entry) {
  const std::vector<std::string_view> entries = split(environment, '\0');
  return std::find(entries.begin(), entries.end(), entry) != entries.end();
}

}  // namespace

bool environment_has(const HostFs& fs, pid_t pid, const std::string& entry) {
  const std::string place = std::string(host_paths::kProc) + "/" + std::to_string(pid);
  const Result<std::string> own = fs.read_file(place + "/environ", kMaxBytes);
  if (own && !own->empty()) return holds(*own, entry);
  const Result<Dir> tasks = fs.open_dir(place + "/task");
  if (!tasks) return false;
  for (const std::string& thread : tasks->names().value_or(std::vector<std::string>())) {
    const Result<std::string> text =
        fs.read_file(place + "/task/" + thread + "/environ", kMaxBytes);
    if (text && !text->empty()) return holds(*text, entry);  // all threads have the same
  }
  return false;
}

}  // namespace gpuctl::proc
