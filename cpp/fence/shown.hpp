// Files that a payload may read although what they lie in is hidden from it: bound anew, read-only, under the same paths.
//
// They are taken before hide() covers their directories, and put afterwards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::fence::internal {

struct ShownFile {
  std::string path;
  Fd file;  // as it was opened (O_PATH) while it was in sight
};

// nullopt, with errno, where one is there and cannot be taken. One that is not there is left out.
std::optional<std::vector<ShownFile>> take_shown(const std::vector<std::string>& paths);

// nullptr, or what failed, with errno.
const char* put_shown(const std::vector<ShownFile>& files);

}  // namespace gpuctl::fence::internal
