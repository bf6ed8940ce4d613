#include "resolve.hpp"

#include <fcntl.h>
#include <linux/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <vector>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/syscall_numbers.hpp"

namespace gpuctl::internal {
namespace {

// struct open_how and RESOLVE_* of <linux/openat2.h>, spelled out: Debian 11's and EL8's headers may lack them.
struct OpenHow {
  __u64 flags;
  __u64 mode;
  __u64 resolve;
};
constexpr __u64 kResolveNoMagiclinks = 0x02;
constexpr __u64 kResolveInRoot = 0x10;

constexpr int kMaxAttempts = 32;
constexpr int kMaxLinks = 40;  // as the kernel's path walk (MAXSYMLINKS)

void push_front_components(std::deque<std::string>& pending, std::string_view path) {
  const std::vector<std::string_view> parts = split(path, '/');
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!part->empty() && *part != ".") pending.emplace_front(*part);
  }
}

// The directories entered so far, the root first: ".." pops one and stops at the root.
class Trail {
 public:
  explicit Trail(int root_fd) : root_fd_(root_fd) {}

  int here() const { return entered_.empty() ? root_fd_ : entered_.back().get(); }
  void enter(Fd fd) { entered_.push_back(std::move(fd)); }
  void up() {
    if (!entered_.empty()) entered_.pop_back();
  }
  void back_to_root() { entered_.clear(); }

 private:
  int root_fd_;
  std::vector<Fd> entered_;
};

// The target of the symbolic link `name` in `dir_fd`; empty with errno set when it is none.
std::string read_link(int dir_fd, const std::string& name) {
  std::array<char, PATH_MAX> target;  // NOLINT: filled by readlinkat(2)
  const ssize_t length = ::readlinkat(dir_fd, name.c_str(), target.data(), target.size());
  if (length <= 0) return {};
  return std::string(target.data(), static_cast<std::size_t>(length));
}

}  // namespace

bool openat2_works(int root_fd) {
  const int fd = open_in_root_by_kernel(root_fd, ".", O_PATH | O_DIRECTORY);
  if (fd < 0) return false;
  ::close(fd);
  return true;
}

int open_in_root_by_kernel(int root_fd, const std::string& path, int flags) {
  OpenHow how{};
  how.flags = static_cast<__u64>(flags | O_CLOEXEC);
  how.resolve = kResolveInRoot | kResolveNoMagiclinks;
  // EAGAIN: a rename or mount anywhere on the machine met our "..", so the kernel could not vouch
  // for the root (openat2(2)). On a busy node that may come several times in a row.
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    const long fd = retry_on_interrupt([&] {
      return ::syscall(syscall_numbers::kOpenat2, root_fd, path.c_str(), &how, sizeof how);
    });
    if (fd >= 0 || errno != EAGAIN) return static_cast<int>(fd);
  }
  return open_in_root_by_walk(root_fd, path, flags);
}

int open_in_root_by_walk(int root_fd, const std::string& path, int flags) {
  Trail trail(root_fd);
  std::deque<std::string> pending;
  push_front_components(pending, path);
  int links = 0;
  while (!pending.empty()) {
    const std::string name = std::move(pending.front());
    pending.pop_front();
    if (name == "..") {
      trail.up();
      continue;
    }
    const std::string target = read_link(trail.here(), name);
    if (!target.empty() && !(pending.empty() && (flags & O_NOFOLLOW) != 0)) {
      if (++links > kMaxLinks) return errno = ELOOP, -1;
      if (target.front() == '/') trail.back_to_root();
      push_front_components(pending, target);
      continue;
    }
    if (pending.empty())
      return ::openat(trail.here(), name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
    Fd next(::openat(trail.here(), name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) return -1;
    trail.enter(std::move(next));
  }
  return ::openat(trail.here(), ".", flags | O_CLOEXEC);
}

}  // namespace gpuctl::internal
