#include "listing.hpp"

#include <fcntl.h>

#include <cerrno>
#include <cstring>

namespace gpuctl::internal {

Result<Listing> Listing::open(int dir_fd, const std::string& path) {
  Result<Fd> fd = open_at(dir_fd, ".", O_RDONLY | O_DIRECTORY);
  if (!fd) return fail(std::move(fd).error());
  DIR* stream = ::fdopendir(fd->get());
  if (stream == nullptr) return fail_errno(errno, path, "cannot list");
  fd->release();
  return Listing(stream);
}

const dirent* Listing::next() {
  while (const dirent* each = ::readdir(stream_.get())) {
    if (std::strcmp(each->d_name, ".") != 0 && std::strcmp(each->d_name, "..") != 0) return each;
  }
  return nullptr;
}

Result<Fd> enter(int parent_fd, const std::string& name, const struct stat& status) {
  if ((status.st_mode & 0700) != 0700) ::fchmodat(parent_fd, name.c_str(), 0700, 0);
  return open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace gpuctl::internal
