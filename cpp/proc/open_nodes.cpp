#include "gpuctl/proc/open_nodes.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::proc {
namespace {

constexpr unsigned kMemoryMajor = 1;  // null, zero, …: a stand-in node may borrow their numbers

// The folder's path inside a HostFs, and which names in it are nodes of GPUs.
struct Place {
  std::string folder;
  std::string prefix;
};

std::vector<Place> places() {
  const std::string dev = host_paths::kDev;
  return {{dev, "nvidia"},
          {dev, "kfd"},
          {dev + "/dri", "card"},
          {dev + "/dri", "renderD"},
          {dev + "/nvidia-caps", "nvidia-cap"}};
}

std::optional<DeviceNode> node_at(const HostFs& fs, const Dir& folder, const std::string& in_root,
                                  const std::string& name) {
  struct stat status{};
  if (::fstatat(folder.fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return std::nullopt;
  const bool may_be = S_ISCHR(status.st_mode) || (!fs.is_live() && S_ISREG(status.st_mode));
  if (!may_be) return std::nullopt;
  DeviceNode node;
  node.path = "/" + in_root + "/" + name;
  node.number = S_ISCHR(status.st_mode) ? status.st_rdev : 0;
  node.file = {status.st_dev, status.st_ino};
  return node;
}

std::uint64_t device_number(const struct statx& status) {
  return ::makedev(status.stx_rdev_major, status.stx_rdev_minor);
}

bool is_of(const DeviceNode& node, const struct statx& status) {
  if (node.file == FileId{::makedev(status.stx_dev_major, status.stx_dev_minor), status.stx_ino})
    return true;
  return node.number != 0 && status.stx_rdev_major != kMemoryMajor &&
         device_number(status) == node.number;
}

}  // namespace

std::vector<DeviceNode> gpu_nodes(const HostFs& fs) {
  std::vector<DeviceNode> found;
  for (const Place& place : places()) {
    const Result<Dir> folder = fs.open_dir(place.folder);
    if (!folder) continue;
    for (const std::string& name : folder->names().value_or(std::vector<std::string>())) {
      if (name.compare(0, place.prefix.size(), place.prefix) != 0) continue;
      if (auto node = node_at(fs, *folder, place.folder, name)) found.push_back(std::move(*node));
    }
  }
  const auto by_path = [](const DeviceNode& a, const DeviceNode& b) { return a.path < b.path; };
  std::sort(found.begin(), found.end(), by_path);
  return found;
}

std::optional<std::vector<std::string>> OpenNodes::of(pid_t pid) const {
  const std::string path = std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/fd";
  const Result<Dir> descriptors = fs_.open_dir(path);
  if (!descriptors) return std::nullopt;
  if (nodes_.empty() && ::faccessat(descriptors->fd(), ".", R_OK, AT_EACCESS) == 0)
    return std::vector<std::string>();  // nobody holds what is not there
  const Result<std::vector<std::string>> names = descriptors->names();
  if (!names) return std::nullopt;
  std::set<std::string> held_now;
  for (const std::string& name : *names) {
    if (const DeviceNode* node = held(*descriptors, name)) held_now.insert(node->path);
  }
  return std::vector<std::string>(held_now.begin(), held_now.end());
}

// What the descriptor is, asked without AT_STATX_FORCE_SYNC: a file on a dead network file system must not hang us.
const DeviceNode* OpenNodes::held(const Dir& descriptors, const std::string& name) const {
  if (nodes_.empty()) return nullptr;
  if (!fs_.is_live()) {  // the links of a recording must not be followed
    const auto target = descriptors.link_target(name).value_or(std::nullopt);
    const auto same = [&](const DeviceNode& node) { return target && node.path == *target; };
    const auto found = std::find_if(nodes_.begin(), nodes_.end(), same);
    return found == nodes_.end() ? nullptr : &*found;
  }
  struct statx status{};
  const unsigned wanted = STATX_TYPE | STATX_INO;
  if (::statx(descriptors.fd(), name.c_str(), AT_STATX_DONT_SYNC, wanted, &status) != 0 ||
      !S_ISCHR(status.stx_mode))
    return nullptr;
  const auto same = [&](const DeviceNode& node) { return is_of(node, status); };
  const auto found = std::find_if(nodes_.begin(), nodes_.end(), same);
  return found == nodes_.end() ? nullptr : &*found;
}

}  // namespace gpuctl::proc
