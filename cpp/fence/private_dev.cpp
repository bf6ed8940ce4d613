#include "private_dev.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdint>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/base/without.hpp"
#include "namespaces.hpp"

namespace gpuctl::fence::internal {
namespace {

// <linux/mount.h>, <linux/fcntl.h>
constexpr unsigned kOpenTreeClone = 1;                  // OPEN_TREE_CLONE
constexpr unsigned kAtRecursive = 0x8000;               // AT_RECURSIVE
constexpr unsigned kMoveMountFromEmptyPath = 4;         // MOVE_MOUNT_F_EMPTY_PATH
constexpr unsigned kCloseOnExec = 1;                    // FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC
constexpr unsigned kSetString = 1;                      // FSCONFIG_SET_STRING
constexpr unsigned kCreate = 6;                         // FSCONFIG_CMD_CREATE
constexpr unsigned long kReadOnly = 1;                  // MOUNT_ATTR_RDONLY
constexpr unsigned long kNoSetuidNoExec = 0x02 | 0x08;  // MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC

// What a program may count on in any /dev, and what is no GPU but is wanted by jobs: FUSE (/cvmfs and the like may be mounted
// by the job itself), tunnels (rootless containers), InfiniBand; other interconnects are in the plan.
constexpr std::array<const char*, 12> kStandard = {"null",    "zero",   "full",      "random",
                                                   "urandom", "tty",    "ptmx",      "pts",
                                                   "shm",     "mqueue", "hugepages", "log"};
constexpr std::array<const char*, 3> kOthers = {"fuse", "net", "infiniband"};

struct Graft {
  std::string name;
  std::string link_target;  // of a symbolic link; else empty
  bool is_directory = false;
  Fd tree;
};

std::string live_dev() { return std::string("/") + host_paths::kDev; }

Fd open_tree(const std::string& path) {
  return Fd(static_cast<int>(::syscall(syscall_numbers::kOpenTree, AT_FDCWD, path.c_str(),
                                       kOpenTreeClone | kAtRecursive | O_CLOEXEC)));
}

bool move_mount(const Fd& tree, int to_dir, const char* to) {
  return ::syscall(syscall_numbers::kMoveMount, tree.get(), "", to_dir, to,
                   kMoveMountFromEmptyPath) == 0;
}

// False with errno; a node that is not there is left out.
bool take(const std::string& path, const std::string& name, std::vector<Graft>& grafts) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return errno == ENOENT;
  Graft graft;
  graft.name = name;
  graft.is_directory = S_ISDIR(status.st_mode);
  if (S_ISLNK(status.st_mode)) {
    char target[PATH_MAX];
    const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
    if (length <= 0) return false;
    graft.link_target.assign(target, static_cast<std::size_t>(length));
  } else {
    graft.tree = open_tree(path);
    if (!graft.tree) return false;
  }
  grafts.push_back(std::move(graft));
  return true;
}

// The trees are cloned before anything is covered.
bool take_all(const DevicePlan& plan, std::vector<Graft>& grafts) {
  for (const char* name : kStandard) {
    if (!take(live_dev() + "/" + name, name, grafts)) return false;
  }
  for (const char* name : kOthers) {
    if (!take(live_dev() + "/" + name, name, grafts)) return false;
  }
  for (const DeviceNode& node : plan.given) {
    if (!take(node.host_path, node.name, grafts)) return false;
  }
  return std::all_of(
      plan.interconnects.begin(), plan.interconnects.end(),
      [&](const std::string& name) { return take(live_dev() + "/" + name, name, grafts); });
}

Fd make_tmpfs() {
  const Fd context(static_cast<int>(::syscall(syscall_numbers::kFsopen, "tmpfs", kCloseOnExec)));
  if (!context) return Fd();
  const auto configure = [&](unsigned command, const char* key, const char* value) {
    return ::syscall(syscall_numbers::kFsconfig, context.get(), command, key, value, 0) == 0;
  };
  if (!configure(kSetString, "mode", "0755") || !configure(kSetString, "size", "64k") ||
      !configure(kCreate, nullptr, nullptr))
    return Fd();
  return Fd(static_cast<int>(
      ::syscall(syscall_numbers::kFsmount, context.get(), kCloseOnExec, kNoSetuidNoExec)));
}

bool make_place(int dev, const Graft& graft) {
  const std::size_t slash = graft.name.find('/');
  if (slash != std::string::npos &&
      ::mkdirat(dev, graft.name.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST)
    return false;
  if (!graft.link_target.empty())
    return ::symlinkat(graft.link_target.c_str(), dev, graft.name.c_str()) == 0;
  if (graft.is_directory) return ::mkdirat(dev, graft.name.c_str(), 0755) == 0;
  return static_cast<bool>(
      Fd(::openat(dev, graft.name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444)));
}

bool make_links(int dev) {
  const std::string fds = host_paths::kLiveSelfFd;
  return ::symlinkat(fds.c_str(), dev, "fd") == 0 &&
         ::symlinkat((fds + "/0").c_str(), dev, "stdin") == 0 &&
         ::symlinkat((fds + "/1").c_str(), dev, "stdout") == 0 &&
         ::symlinkat((fds + "/2").c_str(), dev, "stderr") == 0;
}

bool graft_all(int dev, const std::vector<Graft>& grafts) {
  return std::all_of(grafts.begin(), grafts.end(), [&](const Graft& graft) {
    return !graft.tree || move_mount(graft.tree, dev, graft.name.c_str());
  });
}

// struct mount_attr of <linux/mount.h>
struct MountAttr {
  std::uint64_t attr_set;
  std::uint64_t attr_clr;
  std::uint64_t propagation;
  std::uint64_t userns_fd;
};

// Keeps a payload from filling it; no matter for the fence, and older kernels (before 5.12) go without.
void make_read_only(int dev) {
  constexpr unsigned kAtEmptyPath = 0x1000;
  MountAttr wanted{kReadOnly, 0, 0, 0};
  ::syscall(syscall_numbers::kMountSetattr, dev, "", kAtEmptyPath, &wanted, sizeof wanted);
}

const char* cover_stand_in(const std::string& path) {
  const Fd copy = open_tree(live_dev());
  if (copy && move_mount(copy, AT_FDCWD, path.c_str())) return nullptr;
  return "cover the stand-in's dev";
}

bool hide_one(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return true;
  if (!S_ISDIR(status.st_mode))
    return ::mount(host_paths::kLiveNull, path.c_str(), nullptr, MS_BIND, nullptr) == 0;
  const std::string mode = (status.st_mode & S_IWOTH) != 0 ? "mode=1777" : "mode=0700";
  return ::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV,
                 ("size=64m," + mode).c_str()) == 0;
}

}  // namespace

const char* mount_private_dev(const DevicePlan& plan) {
  if (without().private_dev) {
    errno = ENOSYS;
    return "mount a /dev of its own";
  }
  std::vector<Graft> grafts;
  if (!take_all(plan, grafts)) return "take the nodes of /dev";
  const Fd dev = make_tmpfs();
  if (!dev) return "make a file system for /dev";
  for (const Graft& graft : grafts) {
    if (!make_place(dev.get(), graft)) return "make the places of its nodes in /dev";
  }
  if (!make_links(dev.get())) return "make the links of /dev";
  if (!move_mount(dev, AT_FDCWD, live_dev().c_str())) return "mount a /dev of its own";
  if (!graft_all(dev.get(), grafts)) return "bind its nodes into /dev";
  make_read_only(dev.get());
  return plan.stand_in_dev.empty() ? nullptr : cover_stand_in(plan.stand_in_dev);
}

const char* hide(const std::vector<std::string>& paths) {
  const bool done = std::all_of(paths.begin(), paths.end(), hide_one);
  return done ? nullptr : "hide what is not the payload's";
}

const char* make_kernel_settings_read_only() {
  if (!make_read_only_below(host_paths::kLiveSys) && errno != EINVAL)  // where it is no mount
    return "make /sys read-only";
  for (const char* path :
       {host_paths::kLiveProcSys, host_paths::kLiveSysrq, host_paths::kLiveProcBus,
        host_paths::kLiveProcFs, host_paths::kLiveProcIrq}) {
    if (::access(path, F_OK) != 0) continue;
    if (::mount(path, path, nullptr, MS_BIND, nullptr) != 0 ||
        ::mount(nullptr, path, nullptr,
                MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0)
      return "make the kernel's settings read-only";
  }
  return nullptr;
}

}  // namespace gpuctl::fence::internal
