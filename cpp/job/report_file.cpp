#include "report_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <memory>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/record.hpp"

namespace gpuctl::job {

namespace {

constexpr int kPatienceMs = 10'000;

// The standard descriptor that has the same file open (`--report /dev/stdout >file`), or -1.
int descriptor_of(const struct stat& wanted) {
  for (int fd = 0; fd <= STDERR_FILENO; ++fd) {
    struct stat status{};
    if (::fstat(fd, &status) == 0 && status.st_dev == wanted.st_dev &&
        status.st_ino == wanted.st_ino)
      return fd;
  }
  return -1;
}

std::string followed(const std::string& path) {
  const std::unique_ptr<char, decltype(&::free)> real(::realpath(path.c_str(), nullptr), &::free);
  return real ? std::string(real.get()) : path;
}

}  // namespace

Result<void> write_report_file(const std::string& path_or_link, const std::string& text) {
  const std::string path = followed(path_or_link);
  struct stat status{};
  const bool exists = ::stat(path_or_link.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    const Result<Fd> fd = open_at(AT_FDCWD, path_or_link, O_WRONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return fail(fd.error());
    return write_patiently(fd->get(), text, kPatienceMs, path_or_link);
  }
  // Replacing that file would take it from under whoever writes to it.
  if (const int open = exists ? descriptor_of(status) : -1; open >= 0)
    return write_all(open, text, path);
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Result<Fd> dir = open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY);
  if (!dir) return fail(dir.error());
  return replace_file(dir->get(), slash == std::string::npos ? path : path.substr(slash + 1), text,
                      0644);
}

std::string hostname() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "";
  return name.data();
}

}  // namespace gpuctl::job
