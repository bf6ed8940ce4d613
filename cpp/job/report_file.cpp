#include "report_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/record.hpp"

namespace gpuctl::job {

Result<void> write_report_file(const std::string& path, const std::string& text) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    const Result<Fd> fd = open_at(AT_FDCWD, path, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return fail(fd.error());
    return write_all(fd->get(), text, path);
  }
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Result<Fd> dir = open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error());
  return replace_file(dir->get(), slash == std::string::npos ? path : path.substr(slash + 1), text, 0644);
}

std::string hostname() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

}  // namespace gpuctl::job
