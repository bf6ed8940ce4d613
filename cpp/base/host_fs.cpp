#include "gpuctl/base/host_fs.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "gpuctl/base/tar.hpp"
#include "gpuctl/base/tree.hpp"
#include "resolve.hpp"

namespace gpuctl {
namespace {

void drop_trailing_newline(std::string& text) {
  if (!text.empty() && text.back() == '\n') text.pop_back();
}

constexpr std::size_t kMaxArchiveBytes = std::size_t{256} << 20;

// O_NONBLOCK: a FIFO planted where a kernel file is expected must not hang the reader.
constexpr int kReadFlags = O_RDONLY | O_NONBLOCK | O_NOCTTY;

Result<void> require_plain_file(int fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, path, "cannot stat");
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::malformed, path, "not a plain file");
  return {};
}

Result<std::string> read_text(int fd, std::size_t max_bytes, const std::string& path) {
  const Result<void> plain = require_plain_file(fd, path);
  if (!plain) return fail(plain.error());
  Result<std::string> text = read_all(fd, max_bytes, path);
  if (text) drop_trailing_newline(*text);
  return text;
}

// Absence is normal: ENOENT, a missing parent, or a device that left while we looked (ENODEV).
template <typename T>
Result<std::optional<T>> absent_is_nullopt(Result<T> result) {
  if (result) return std::optional<T>(std::move(*result));
  if (result.error().code == ErrorCode::not_found) return std::optional<T>();
  return fail(std::move(result).error());
}

// The records that getdents64(2) fills in; opendir(3) would allocate 32 KiB for each directory.
struct RawEntry {
  ino64_t d_ino;
  off64_t d_off;
  unsigned short d_reclen;
  unsigned char d_type;
  char d_name[1];
};

void append_names(const char* buffer, long size, std::vector<std::string>& names) {
  for (long offset = 0; offset < size;) {
    RawEntry entry;  // NOLINT: copied below, the buffer has no alignment promise
    std::memcpy(&entry, buffer + offset, offsetof(RawEntry, d_name));
    const char* name = buffer + offset + offsetof(RawEntry, d_name);
    if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0) names.emplace_back(name);
    offset += entry.d_reclen;
  }
}

}  // namespace

Result<std::string> Dir::read(const std::string& name) const {
  const Fd fd(retry_on_interrupt(
      [&] { return ::openat(fd_.get(), name.c_str(), kReadFlags | O_NOFOLLOW | O_CLOEXEC); }));
  if (!fd) return fail_errno(errno, where(name), "cannot open");
  return read_text(fd.get(), kMaxKernelFileBytes, where(name));
}

Result<std::string> Dir::read_attribute(const std::string& name) const {
  const Fd fd(retry_on_interrupt(
      [&] { return ::openat(fd_.get(), name.c_str(), kReadFlags | O_NOFOLLOW | O_CLOEXEC); }));
  if (!fd) return fail_errno(errno, where(name), "cannot open");
  std::array<char, 4096> page;  // NOLINT: filled by read(2)
  const ssize_t size =
      retry_on_interrupt([&] { return ::read(fd.get(), page.data(), page.size()); });
  if (size <= 0 || static_cast<std::size_t>(size) == page.size()) return read(name);
  std::string text(page.data(), static_cast<std::size_t>(size));
  drop_trailing_newline(text);
  return text;
}

Result<std::optional<std::string>> Dir::read_if_present(const std::string& name) const {
  return absent_is_nullopt(read(name));
}

Result<std::optional<std::string>> Dir::link_target(const std::string& name) const {
  std::array<char, PATH_MAX> target;  // NOLINT: filled by readlinkat(2)
  const ssize_t length = ::readlinkat(fd_.get(), name.c_str(), target.data(), target.size());
  if (length >= 0)
    return std::optional<std::string>(std::in_place, target.data(),
                                      static_cast<std::size_t>(length));
  if (errno == ENOENT || errno == EINVAL) return std::optional<std::string>();
  return fail_errno(errno, where(name), "cannot read the link");
}

Result<std::optional<std::string>> Dir::link_basename(const std::string& name) const {
  Result<std::optional<std::string>> target = link_target(name);
  if (!target || !*target) return target;
  return std::optional<std::string>((*target)->substr((*target)->rfind('/') + 1));
}

Result<std::vector<std::string>> Dir::names() const {
  const Fd fd(::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno(errno, path_, "cannot list");
  std::vector<std::string> found;
  std::array<char, 16384> buffer;  // NOLINT: filled by getdents64(2)
  while (true) {
    const long size = ::syscall(SYS_getdents64, fd.get(), buffer.data(), buffer.size());
    if (size < 0) return fail_errno(errno, path_, "cannot list");
    if (size == 0) break;
    append_names(buffer.data(), size, found);
  }
  std::sort(found.begin(), found.end());
  return found;
}

bool Dir::exists(const std::string& name) const {
  return ::faccessat(fd_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// A directory of our own for an archive's content.
struct HostFs::Unpacked {
  explicit Unpacked(std::string made, Fd parent_fd, const FileId& made_id)
      : path(std::move(made)), parent(std::move(parent_fd)), id(made_id) {}
  Unpacked(const Unpacked&) = delete;
  Unpacked& operator=(const Unpacked&) = delete;
  ~Unpacked() {
    static_cast<void>(remove_tree(parent.get(), path.substr(path.rfind('/') + 1), id).has_value());
  }

  static Result<std::shared_ptr<const Unpacked>> make() {
    const char* variable = std::getenv("TMPDIR");
    const std::string folder = variable != nullptr && *variable != 0 ? variable : "/tmp";
    Result<Fd> parent = open_at(AT_FDCWD, folder, O_PATH | O_DIRECTORY);
    if (!parent) return fail(parent.error());
    std::string path = folder + "/gpuctl-root-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr)
      return fail_errno(errno, folder, "cannot make a directory to unpack in");
    const Result<Fd> made = open_at(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    const Result<FileId> id = made ? file_id(made->get(), path) : fail(made.error());
    if (!id) return fail(id.error());
    return std::make_shared<const Unpacked>(path, std::move(*parent), *id);
  }

  std::string path;
  Fd parent;
  FileId id;
};

Result<HostFs> HostFs::open_archive(const std::string& archive, Resolver resolver) {
  const Result<Fd> file = open_at(AT_FDCWD, archive, kReadFlags);
  if (!file) return fail(file.error());
  std::array<char, 512> head{};
  const ssize_t size = ::pread(file->get(), head.data(), head.size(), 0);
  if (size < 0 || !is_tar({head.data(), static_cast<std::size_t>(size)}))
    return fail(ErrorCode::usage, archive, "neither a directory nor a tar archive of one");
  const Result<std::string> content = read_all(file->get(), kMaxArchiveBytes, archive);
  if (!content) return fail(content.error());
  Result<std::shared_ptr<const Unpacked>> made = Unpacked::make();
  if (!made) return fail(made.error());
  const Result<Fd> folder = open_at(AT_FDCWD, (*made)->path, O_RDONLY | O_DIRECTORY);
  if (!folder) return fail(folder.error());
  if (Result<void> done = unpack(*content, folder->get(), archive); !done)
    return fail(done.error());
  Result<HostFs> fs = open((*made)->path, resolver);
  if (fs) fs->unpacked_ = std::move(*made);
  return fs;
}

Result<HostFs> HostFs::open(const std::string& root, Resolver resolver) {
  Fd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd && errno == ENOTDIR && root.back() != '/') return open_archive(root, resolver);
  if (!fd) {
    Error error = system_error(errno, root, "not a root directory that can be entered");
    error.code = ErrorCode::usage;
    return fail(std::move(error));
  }
  const bool live = root == "/";
  const bool use_openat2 = resolver == Resolver::automatic && internal::openat2_works(fd.get());
  return HostFs(std::move(fd), root, live, use_openat2);
}

std::string HostFs::where(const std::string& path) const {
  return root_.back() == '/' ? root_ + path : root_ + "/" + path;
}

Result<Fd> HostFs::open_path(const std::string& path, int flags) const {
  Fd fd(use_openat2_ ? internal::open_in_root_by_kernel(fd_.get(), path, flags)
                     : internal::open_in_root_by_walk(fd_.get(), path, flags));
  if (!fd) return fail_errno(errno, where(path), "cannot open");
  return fd;
}

Result<Dir> HostFs::open_dir(const std::string& path) const {
  Result<Fd> fd = open_path(path, O_PATH | O_DIRECTORY);
  if (!fd) return fail(std::move(fd).error());
  return Dir(std::move(*fd), where(path));
}

Result<std::optional<Dir>> HostFs::open_dir_if_present(const std::string& path) const {
  return absent_is_nullopt(open_dir(path));
}

Result<std::string> HostFs::read_file(const std::string& path, std::size_t max_bytes) const {
  const Result<Fd> fd = open_path(path, kReadFlags);
  if (!fd) return fail(fd.error());
  return read_text(fd->get(), max_bytes, where(path));
}

Result<std::optional<std::string>> HostFs::read_file_if_present(const std::string& path) const {
  return absent_is_nullopt(read_file(path));
}

}  // namespace gpuctl
