#include "proc_dir.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/without.hpp"

namespace gpuctl::proc::internal {
namespace {

constexpr std::size_t kListingBytes = 65536;
// O_NONBLOCK: a FIFO planted in a recording must not hang the reader.
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC;

// The records that getdents64(2) fills in.
struct EntryHead {
  ino64_t inode;
  off64_t offset;
  unsigned short length;
  unsigned char type;
};
constexpr std::size_t kNameAt = offsetof(EntryHead, type) + 1;

std::optional<pid_t> as_pid(const char* name) {
  const char* end = name + std::strlen(name);
  pid_t pid = 0;
  const std::from_chars_result result = std::from_chars(name, end, pid);
  if (result.ec != std::errc() || result.ptr != end || pid <= 0 || *name == '0') return {};
  return pid;
}

void append_pids(const char* buffer, long size, std::vector<pid_t>& pids) {
  for (long at = 0; at < size;) {
    EntryHead head;  // NOLINT: copied, the buffer has no alignment promise
    std::memcpy(&head, buffer + at, kNameAt);
    if (const std::optional<pid_t> pid = as_pid(buffer + at + kNameAt)) pids.push_back(*pid);
    at += head.length;
  }
}

// "PID/NAME", without an allocation.
class Path {
 public:
  Path(pid_t pid, const char* name) {
    char* end = std::to_chars(text_.data(), text_.data() + 16, pid).ptr;
    const std::size_t length = std::min(std::strlen(name), text_.size() - 20);
    if (length > 0) *end++ = '/';
    std::memcpy(end, name, length);
    end[length] = '\0';
  }
  const char* text() const { return text_.data(); }

 private:
  std::array<char, 96> text_{};
};

std::string below_proc(const Path& path) {
  return std::string(host_paths::kProc) + "/" + path.text();
}

}  // namespace

Result<ProcDir> ProcDir::open(const HostFs& fs) {
  Result<Fd> fd = fs.open_path(host_paths::kProc, O_RDONLY | O_DIRECTORY);
  if (!fd) return fail(std::move(fd).error());
  return ProcDir(fs, std::move(*fd));
}

Result<void> ProcDir::list(std::vector<pid_t>& pids) {
  pids.clear();
  buffer_.resize(std::max(buffer_.size(), kListingBytes));
  if (::lseek(fd_.get(), 0, SEEK_SET) < 0)
    return fail_errno(errno, fs_->where(host_paths::kProc), "cannot list");
  while (true) {
    const long size = ::syscall(SYS_getdents64, fd_.get(), buffer_.data(), buffer_.size());
    if (size < 0) return fail_errno(errno, fs_->where(host_paths::kProc), "cannot list");
    if (size == 0) break;
    append_pids(buffer_.data(), size, pids);
  }
  if (!std::is_sorted(pids.begin(), pids.end())) std::sort(pids.begin(), pids.end());
  if (without().foreign_proc) {
    const auto foreign = [&](pid_t pid) { return owner(pid) != ::geteuid(); };
    pids.erase(std::remove_if(pids.begin(), pids.end(), foreign), pids.end());
  }
  return {};
}

Fd ProcDir::open_file(pid_t pid, const char* name) const {
  const Path path(pid, name);
  Fd opened;
  if (fs_->is_live()) {
    opened.reset(::openat(fd_.get(), path.text(), kReadFlags));
  } else {
    Result<Fd> fd = fs_->open_path(below_proc(path), kReadFlags);
    if (fd) return std::move(*fd);
    errno = fd.error().errno_value;
  }
  if (!opened) ran_out_ = ran_out_ || errno == EMFILE || errno == ENFILE || errno == ENOMEM;
  return opened;
}

std::optional<std::string_view> ProcDir::read(pid_t pid, const char* name, std::size_t size) {
  const Fd fd = open_file(pid, name);
  if (!fd) return std::nullopt;
  return read_open(fd.get(), size);
}

// One read(2) is the whole of a small kernel file; there is a second one only where the first was long.
std::optional<std::string_view> ProcDir::read_open(int fd, std::size_t size) {
  constexpr std::size_t kShort = 1024;  // the kernel gives no less when there is more
  std::size_t have = 0;
  while (have < size) {
    if (have == buffer_.size()) buffer_.resize(std::max(kListingBytes, 2 * have));
    const std::size_t room = std::min(size, buffer_.size()) - have;
    const ssize_t count = retry_on_interrupt(
        [&] { return ::pread(fd, buffer_.data() + have, room, static_cast<off_t>(have)); });
    if (count < 0) return std::nullopt;
    have += static_cast<std::size_t>(count);
    if (count == 0 || have < std::min(kShort, room)) break;
  }
  return std::string_view(buffer_.data(), have);
}

std::optional<uid_t> ProcDir::owner(pid_t pid) const {
  const Path path(pid, "");
  struct statx status{};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT;
  if (fs_->is_live()) {
    if (::statx(fd_.get(), path.text(), flags, STATX_UID, &status) != 0) return std::nullopt;
    return status.stx_uid;
  }
  const Result<Fd> fd = fs_->open_path(below_proc(path), O_PATH | O_NOFOLLOW);
  if (!fd) return errno = fd.error().errno_value, std::nullopt;
  if (::statx(fd->get(), "", AT_EMPTY_PATH, STATX_UID, &status) != 0) return std::nullopt;
  return status.stx_uid;
}

}  // namespace gpuctl::proc::internal
