// Directory trees that a stranger may have filled: removing them and copying files out of them, without ever
// leaving them. Everything goes by directory descriptors; no symbolic link is followed, no mount is crossed.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl {

// Which directory it is, whatever its name becomes.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileId& other) const {
    return device == other.device && inode == other.inode;
  }
};

Result<FileId> file_id(int fd, const std::string& path);

// renameat(2) within one directory that fails with EEXIST where `to` is there already; 0, or -1 with errno set.
int rename_without_replacing(int dir_fd, const std::string& from, const std::string& to);

// Removes the directory `name` in `parent_fd` and all below it, if it still is `id`. What could not be removed
// (another file system mounted inside, no permission) is named in the error; the rest is gone all the same.
Result<void> remove_tree(int parent_fd, const std::string& name, const FileId& id);

// Paths, relative to `dir_fd`, of the plain files below it, sorted; at most `max_files`.
Result<std::vector<std::string>> list_files(int dir_fd, std::size_t max_files);

// Copies the plain file `from_fd`/`from` to `to_fd`/`to`, making the folders of `to`; an existing file is replaced.
Result<void> copy_file(int from_fd, const std::string& from, int to_fd, const std::string& to);

}  // namespace gpuctl
