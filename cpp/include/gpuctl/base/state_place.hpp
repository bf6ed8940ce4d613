// The state directory: where jobs and leases are on record, and what must be true of it before anything is believed.
//
//   STATE = an explicit path, else /run/gpuctl where the administrator made it (root's, writable for us), else
//   /dev/shm/gpuctl, which is made with mode 1777.
//
// Nothing is followed through a symbolic link; a directory in which others could replace our files, or one on a
// network file system, where flock(2) does not reach the other machines, is refused.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "gpuctl/base/fd.hpp"

namespace gpuctl {

std::string state_place(const std::optional<std::string>& explicit_path);

// Opens STATE, makes it where it is missing, and checks it.
Result<Fd> open_state(const std::optional<std::string>& explicit_path);

// Opens the directory `name`, making it first when it is not there. The mode is set whatever the umask is.
Result<Fd> open_or_make_dir(int parent_fd, const std::string& name, mode_t mode);

// The mode of a directory in which whoever may write in `fd` may write too.
mode_t mode_like(int fd);

// `owner`: nullopt for a directory that several users share.
Result<void> require_safe_dir(int fd, const std::string& path, std::optional<uid_t> owner);

}  // namespace gpuctl
