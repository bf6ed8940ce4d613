#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/expose/exposure.hpp"

namespace gpuctl::expose {
namespace {

std::vector<gid_t> supplementary_groups() {
  const int count = ::getgroups(0, nullptr);
  std::vector<gid_t> groups(count > 0 ? static_cast<std::size_t>(count) : 0);
  if (count > 0 && ::getgroups(count, groups.data()) != count) groups.clear();
  return groups;
}

}  // namespace

bool reached_by_group(const std::vector<Mount>& nodes) {
  const uid_t self = ::geteuid();
  if (self == 0) return false;
  const std::vector<gid_t> groups = supplementary_groups();
  return std::any_of(nodes.begin(), nodes.end(), [&](const Mount& node) {
    struct stat found{};
    if (::stat(node.source.c_str(), &found) != 0 || found.st_uid == self) return false;
    const bool everybody = (found.st_mode & (S_IROTH | S_IWOTH)) == (S_IROTH | S_IWOTH);
    const bool group = (found.st_mode & (S_IRGRP | S_IWGRP)) == (S_IRGRP | S_IWGRP);
    return !everybody && group && found.st_gid != ::getegid() &&
           std::find(groups.begin(), groups.end(), found.st_gid) != groups.end();
  });
}

// One that cannot be read is there.
bool has_selinux(const HostFs& fs) {
  const Result<std::optional<std::string>> mode =
      fs.read_file_if_present(host_paths::kSelinuxEnforce);
  return !mode || mode->has_value();
}

}  // namespace gpuctl::expose
