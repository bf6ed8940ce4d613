#include "namespaces.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "gpuctl/base/host_paths.hpp"

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

}  // namespace gpuctl::fence::internal
