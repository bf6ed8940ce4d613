#include "namespaces.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/syscall_numbers.hpp"

namespace gpuctl::fence::internal {
namespace {

bool write_file(const char* path, const char* text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t written = ::write(fd, text, std::strlen(text));
  const int saved = errno;
  ::close(fd);
  errno = saved;
  return written == static_cast<ssize_t>(std::strlen(text));
}

// struct mount_attr of <linux/mount.h>
struct MountAttr {
  std::uint64_t attr_set;
  std::uint64_t attr_clr;
  std::uint64_t propagation;
  std::uint64_t userns_fd;
};
constexpr std::uint64_t kMountAttrReadOnly = 1;  // MOUNT_ATTR_RDONLY
constexpr unsigned kAtRecursive = 0x8000;        // AT_RECURSIVE

bool set_read_only_below(const char* path) {
  MountAttr wanted{};
  wanted.attr_set = kMountAttrReadOnly;
  return ::syscall(syscall_numbers::kMountSetattr, AT_FDCWD, path, kAtRecursive, &wanted,
                   sizeof wanted) == 0;
}

bool write_map(const char* path, unsigned id) {
  char line[64];
  std::snprintf(line, sizeof line, "%u %u 1\n", id, id);
  return write_file(path, line);
}

}  // namespace

const char* map_ids(uid_t uid, gid_t gid) {
  // An unprivileged gid_map needs setgroups(2) switched off first (user_namespaces(7)); the file is absent before 3.19.
  if (!write_file(host_paths::kLiveSelfSetgroups, "deny") && errno != ENOENT)
    return "set setgroups to deny";
  if (!write_map(host_paths::kLiveSelfUidMap, uid)) return "write the uid map";
  if (!write_map(host_paths::kLiveSelfGidMap, gid)) return "write the gid map";
  return nullptr;
}

const char* mount_own_proc() {
  // Slave, not private: automounts of the node (/cvmfs) must still arrive.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
    return "make the mounts slaves";
  // Refused ("too revealing") where a container has masked parts of /proc.
  if (::mount("proc", host_paths::kLiveProc, "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) !=
      0) {
    return "mount the own /proc";
  }
  return nullptr;
}

bool make_read_only_below(const char* path) {
  return set_read_only_below(path) || remount_read_only(path);
}

bool make_cgroups_read_only() {
  const std::string mount = std::string("/") + host_paths::kCgroupMount;
  const std::string unified = std::string("/") + host_paths::kCgroupUnified;
  if (set_read_only_below(mount.c_str())) return true;
  return remount_read_only(::access(unified.c_str(), F_OK) == 0 ? unified.c_str() : mount.c_str());
}

bool remount_read_only(const char* path) {
  struct statvfs now{};
  if (::statvfs(path, &now) != 0) return errno == ENOENT;
  unsigned long flags = MS_BIND | MS_REMOUNT | MS_RDONLY;
  if ((now.f_flag & ST_NOSUID) != 0) flags |= MS_NOSUID;
  if ((now.f_flag & ST_NODEV) != 0) flags |= MS_NODEV;
  if ((now.f_flag & ST_NOEXEC) != 0) flags |= MS_NOEXEC;
  if ((now.f_flag & ST_NOATIME) != 0) flags |= MS_NOATIME;
  if ((now.f_flag & ST_RELATIME) != 0) flags |= MS_RELATIME;
  return ::mount(nullptr, path, nullptr, flags, nullptr) == 0;
}

}  // namespace gpuctl::fence::internal
