// What removing a tree and copying out of it have in common: listing and entering directories that a stranger filled.
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <memory>
#include <string>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::internal {

// The names in a directory, one after the other, without "." and "..".
class Listing {
 public:
  static Result<Listing> open(int dir_fd, const std::string& path);

  // nullptr at the end. What it points to lives until the next call.
  const dirent* next();

 private:
  struct CloseDir {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };

  explicit Listing(DIR* stream) : stream_(stream) {}

  std::unique_ptr<DIR, CloseDir> stream_;
};

// Opens the directory `name`, whose lstat is `status`. One without rights for its owner can still be the job's: it gets
// them back first.
Result<Fd> enter(int parent_fd, const std::string& name, const struct stat& status);

}  // namespace gpuctl::internal
