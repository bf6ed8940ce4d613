#include "shown.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "gpuctl/base/host_paths.hpp"
#include "namespaces.hpp"

namespace gpuctl::fence::internal {
namespace {

// In a place that was hidden there is nothing any more; in one that stayed in sight all is there.
bool make_place(const std::string& path) {
  for (std::size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1)) {
    if (::mkdir(path.substr(0, at).c_str(), 0755) != 0 && errno != EEXIST && errno != EROFS)
      return false;
  }
  const Fd place(::open(path.c_str(), O_CREAT | O_RDONLY | O_NOFOLLOW | O_CLOEXEC, 0444));
  return static_cast<bool>(place);
}

// From the descriptor: by its path it is covered. open_tree(2) would do, where there is one (5.2).
bool put(const ShownFile& shown) {
  const std::string source =
      std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(shown.file.get());
  return make_place(shown.path) &&
         ::mount(source.c_str(), shown.path.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
         remount_read_only(shown.path.c_str());
}

}  // namespace

std::optional<std::vector<ShownFile>> take_shown(const std::vector<std::string>& paths) {
  std::vector<ShownFile> files;
  for (const std::string& path : paths) {
    Fd file(::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!file && errno == ENOENT) continue;
    if (!file) return std::nullopt;
    files.push_back({path, std::move(file)});
  }
  return files;
}

const char* put_shown(const std::vector<ShownFile>& files) {
  for (const ShownFile& file : files) {
    if (!put(file)) return "show a file of the payload's";
  }
  return nullptr;
}

}  // namespace gpuctl::fence::internal
