#include "levels.hpp"

#include <cmath>

#include "gpuctl/base/parse.hpp"
#include "mounts.hpp"

namespace gpuctl::cgroup::internal {
namespace {

// v1 counts pages: no limit is PAGE_COUNTER_MAX of them in bytes, whatever the page size. No machine has so much.
constexpr std::uint64_t kNoLimitFrom = std::uint64_t{1} << 62;

// What a level is called: its path in the hierarchy, from the mount's point where the path above is not known.
std::string name_of_level(const Branch& branch, const std::string& rest) {
  const bool from_point = has_dot_dot(branch.mount_root) || branch.mount_root == "/";
  const std::string path = from_point ? rest : branch.mount_root + rest;
  return path.empty() ? "/" : path;
}

// Files that only the root of a hierarchy lacks (v2), or has (v1).
bool is_root(const Dir& dir, bool v2) {
  return v2 ? !dir.exists("cgroup.events") : dir.exists("cgroup.sane_behavior");
}

std::string parent_of(const std::string& rest) { return rest.substr(0, rest.rfind('/')); }

}  // namespace

Levels::Levels(const HostFs& fs, const Branch& branch, std::vector<Error>& problems)
    : problems_(problems) {
  if (!branch.dir) return;
  std::string rest = branch.directory.substr(branch.mount_point.size());
  while (true) {
    Result<Dir> dir = fs.open_dir((branch.mount_point + rest).substr(1));
    if (dir) {
      hidden_above_ = rest.empty() && !is_root(*dir, branch.is_v2());
      all_.push_back({name_of_level(branch, rest), std::move(*dir)});
    } else {
      problems_.push_back(dir.error());
    }
    if (rest.empty()) return;
    rest = parent_of(rest);
  }
}

std::optional<std::string> Levels::text(const Level& level, const char* file) {
  Result<std::optional<std::string>> text = level.dir.read_if_present(file);
  if (text) return std::move(*text);
  problems_.push_back(text.error());
  return std::nullopt;
}

void Levels::complain(const Level& level, const char* file, const std::string& found) {
  problems_.push_back(fail(ErrorCode::malformed, level.dir.path() + "/" + file,
                           "no limit: `" + printable(found.substr(0, 80)) + "`")
                          .error);
}

std::optional<std::uint64_t> Levels::number(const Level& level, const char* file) {
  const std::optional<std::string> found = text(level, file);
  if (!found || *found == "max" || *found == "-1") return std::nullopt;
  const Result<std::uint64_t> value = parse_unsigned(*found, file);
  if (!value) complain(level, file, *found);
  if (!value || *value >= kNoLimitFrom) return std::nullopt;
  return *value;
}

std::optional<Cpuset> cpuset_in(Levels& levels, const std::vector<const char*>& files) {
  std::optional<Cpuset> found;
  for (const Level& level : levels.all()) {
    std::optional<std::string> cpus;
    const char* source = "";
    for (const char* file : files) {
      source = file;
      cpus = levels.text(level, file);
      if (cpus && !cpus->empty()) break;
    }
    if (!cpus || cpus->empty()) continue;  // v2: the controller is not enabled this far down
    if (found && found->cpus != *cpus) break;
    const std::optional<std::size_t> count = count_cpus(*cpus);
    if (!count) {
      levels.complain(level, source, *cpus);
      break;
    }
    found = Cpuset{*cpus, *count, level.path};
  }
  return found;
}

std::optional<std::uint64_t> micro_cpus(std::uint64_t quota, std::uint64_t period) {
  if (period == 0) return std::nullopt;
  const double cpus = static_cast<double>(quota) / static_cast<double>(period);
  constexpr double kMost = 1e9;  // more CPUs than there can be: no limit
  if (cpus > kMost) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(cpus * static_cast<double>(kMicroCpus)));
}

}  // namespace gpuctl::cgroup::internal
