#include "listing.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "gpuctl/base/host_paths.hpp"

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

// By its descriptor: by its name we might be led to change what is not the tree's.
void open_to_us(int parent_fd, const std::string& name, const struct stat& status) {
  const Fd place(::openat(parent_fd, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat there{};
  const bool same = place && ::fstat(place.get(), &there) == 0 && there.st_dev == status.st_dev &&
                    there.st_ino == status.st_ino;
  const std::string path = std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(place.get());
  if (same) ::chmod(path.c_str(), 0700);
}

Result<Fd> enter(int parent_fd, const std::string& name, const struct stat& status) {
  if ((status.st_mode & 0700) != 0700) open_to_us(parent_fd, name, status);
  return open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace gpuctl::internal
