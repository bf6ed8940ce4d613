#include "gpuctl/base/state_place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/random.hpp"
#include "gpuctl/base/tree.hpp"

namespace gpuctl {
namespace {

// flock(2) does not reach other machines on these (statfs(2), magic numbers of <linux/magic.h> and the clients').
constexpr std::array<std::uint64_t, 8> kNetworkFileSystems{
    0x6969, 0xff534d42, 0xfe534d42, 0x5346414f, 0x0bd00bd0, 0x47504653, 0x65735546, 0x00c36400};

Result<void> refuse_network(int fd, const std::string& path) {
  struct statfs file_system{};
  if (::fstatfs(fd, &file_system) != 0)
    return fail_errno(errno, path, "cannot tell the file system");
  const auto type = static_cast<std::uint32_t>(file_system.f_type);
  if (std::find(kNetworkFileSystems.begin(), kNetworkFileSystems.end(), type) ==
      kNetworkFileSystems.end())
    return {};
  return fail(ErrorCode::usage, path,
              "a network file system cannot hold the state: name a local one with --state-dir");
}

bool is_usable_directory(const char* path) {
  struct stat status{};
  return ::lstat(path, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == 0 &&
         ::access(path, W_OK) == 0;
}

// 2770 from tmpfiles.d: root's, for one group whose members trust each other.
bool is_of_a_group(const struct stat& status) {
  return status.st_uid == 0 && (status.st_mode & 0002) == 0;
}

// By its descriptor: whoever owns `parent_fd` may put a link to something of ours where it was.
bool set_mode(int parent_fd, const std::string& name, mode_t mode) {
  const Fd dir(::openat(parent_fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return dir && ::fchmod(dir.get(), mode) == 0;
}

// Nobody sees it before it has its mode: killed between mkdir and chmod under a umask of 077, a shared directory would
// stay closed to everybody else. 0 also where it has come meanwhile, else -1 with errno set.
int make_dir(int parent_fd, std::string name, mode_t mode) {
  while (name.size() > 1 && name.back() == '/') name.pop_back();
  const std::string temporary = name + "." + random_suffix();
  if (::mkdirat(parent_fd, temporary.c_str(), 0700) != 0) return -1;
  if (set_mode(parent_fd, temporary, mode) &&
      rename_without_replacing(parent_fd, temporary, name) == 0)
    return 0;
  const int reason = errno;
  ::unlinkat(parent_fd, temporary.c_str(), AT_REMOVEDIR);
  errno = reason;
  return reason == EEXIST ? 0 : -1;
}

}  // namespace

Result<Fd> open_or_make_dir(int parent_fd, const std::string& name, mode_t mode) {
  Result<Fd> fd = open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (fd || fd.error().code != ErrorCode::not_found) return fd;
  if (make_dir(parent_fd, name, mode) != 0)
    return fail_errno(errno, name, "cannot make the directory");
  return open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

mode_t mode_like(int fd) {
  struct stat status{};
  const bool shared = ::fstat(fd, &status) == 0 && (status.st_mode & 0022) != 0;
  return shared ? status.st_mode & 07777 : 0700;
}

Result<void> require_safe_dir(int fd, const std::string& path, std::optional<uid_t> owner) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, path, "cannot stat");
  const bool shared = !owner;
  const bool owned = owner && status.st_uid == *owner;
  const bool others_write = (status.st_mode & 0022) != 0;
  const bool sticky = (status.st_mode & S_ISVTX) != 0;
  if (shared ? (!others_write || sticky || is_of_a_group(status)) : (owned && !others_write))
    return {};
  return fail(
      ErrorCode::permission, path,
      shared
          ? "others may write in it and it is not sticky: `chmod 1777` it or name another with "
            "--state-dir"
          : "it belongs to somebody else or others may write in it: name another with --state-dir");
}

std::string state_place(const std::optional<std::string>& explicit_path) {
  if (explicit_path) return *explicit_path;
  return is_usable_directory(host_paths::kLiveRunState) ? host_paths::kLiveRunState
                                                        : host_paths::kLiveShmState;
}

Result<Fd> open_state(const std::optional<std::string>& explicit_path) {
  const std::string path = state_place(explicit_path);
  Result<Fd> state = open_or_make_dir(AT_FDCWD, path, explicit_path ? 0700 : 01777);
  if (!state) {
    Error error = state.error();
    error.detail += " for the state (name another with --state-dir)";
    return fail(std::move(error));
  }
  if (Result<void> safe = require_safe_dir(state->get(), path, std::nullopt); !safe)
    return fail(safe.error());
  if (Result<void> local = refuse_network(state->get(), path); !local) return fail(local.error());
  return state;
}

}  // namespace gpuctl
