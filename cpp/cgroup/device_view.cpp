#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/cgroup/leave_slot.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr int kDeepest = 3;
// File systems of their own that hold no devices, or those of terminals, which every policy allows.
constexpr std::array<std::string_view, 4> kNoDevices = {"shm", "mqueue", "hugepages", "pts"};

// inode_permission() of the kernel asks the device filter before anything is opened, and its refusal is EPERM; that of
// the file's own permissions is EACCES.
bool is_refused(const Dir& dir, const std::string& name) {
  return ::faccessat(dir.fd(), name.c_str(), R_OK, 0) != 0 && errno == EPERM;
}

bool look_in(const HostFs& fs, const std::string& path, int depth, DeviceView& view) {
  const Result<Dir> dir = fs.open_dir(path);
  const Result<std::vector<std::string>> names = dir ? dir->names() : fail(dir.error());
  if (!names) return false;
  for (const std::string& name : *names) {
    struct stat status{};
    if (::fstatat(dir->fd(), name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
      if (is_refused(*dir, name))
        view.is_filtered = true;
      else
        view.allowed.push_back("/" + path + "/" + name);
    }
    const bool may_have_nodes =
        std::find(kNoDevices.begin(), kNoDevices.end(), name) == kNoDevices.end();
    // one that we may not read has nothing for us
    if (S_ISDIR(status.st_mode) && may_have_nodes && depth < kDeepest)
      look_in(fs, path + "/" + name, depth + 1, view);
  }
  return true;
}

}  // namespace

std::optional<DeviceView> read_devices(const HostFs& fs) {
  DeviceView view;
  if (!look_in(fs, host_paths::kDev, 0, view)) return std::nullopt;
  return view;
}

}  // namespace gpuctl::cgroup
