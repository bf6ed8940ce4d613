// The floor of a cgroup's accounting: one pread(2) for each file that tells something, on descriptors kept open, parsed
// as little as can be (nothing). Called in the same process as what it is compared with.
#include <fcntl.h>
#include <unistd.h>

#include <vector>

namespace {
std::vector<int> files;
}

// Keeps one more file open; false where it cannot be read.
extern "C" bool floor_open(const char* path) {
  char byte;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  if (::pread(fd, &byte, 1, 0) < 0) {
    ::close(fd);
    return false;
  }
  files.push_back(fd);
  return true;
}

// Bytes read.
extern "C" long floor_sample() {
  static char buffer[65536];
  long bytes = 0;
  for (const int fd : files) bytes += ::pread(fd, buffer, sizeof buffer, 0);
  return bytes;
}

extern "C" void floor_close() {
  for (const int fd : files) ::close(fd);
  files.clear();
}
