#include "gpuctl/base/tree.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gpuctl/base/parse.hpp"
#include "listing.hpp"

namespace gpuctl {
namespace {

using internal::enter;
using internal::Listing;

struct Entry {
  std::string name;
  struct stat status;
};

// Entries of a directory, each with its lstat; those that leave meanwhile are left out.
Result<std::vector<Entry>> entries_of(int dir_fd, const std::string& path) {
  Result<Listing> listing = Listing::open(dir_fd, path);
  if (!listing) return fail(std::move(listing).error());
  std::vector<Entry> found;
  while (const dirent* each = listing->next()) {
    struct stat status{};
    if (::fstatat(dir_fd, each->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
      found.push_back({each->d_name, status});
  }
  return found;
}

// Opens the parent directory of `path` below `dir_fd`, making folders when `make` says so.
Result<Fd> open_parent(int dir_fd, const std::string& path, bool make) {
  Result<Fd> here = open_at(dir_fd, ".", O_RDONLY | O_DIRECTORY);
  std::vector<std::string_view> parts = split(path, '/');
  parts.pop_back();
  for (const std::string_view part : parts) {
    if (!here) return here;
    const std::string name(part);
    if (name.empty() || name == ".") continue;
    if (name == "..") return fail(ErrorCode::usage, path, "a path with `..` is not taken");
    if (make) ::mkdirat(here->get(), name.c_str(), 0755);
    here = open_at(here->get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }
  return here;
}

std::string base_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Result<void> copy_bytes(int from, int to, const std::string& path) {
  constexpr std::size_t kChunk = std::size_t{16} << 20;
  while (true) {
    const ssize_t count = retry_on_interrupt([&] { return ::sendfile(to, from, nullptr, kChunk); });
    if (count < 0) return fail_errno(errno, path, "cannot copy");
    if (count == 0) return {};
  }
}

Result<void> collect_files(int dir_fd, const std::string& prefix, std::size_t max_files,
                           unsigned depth, std::vector<std::string>& found) {
  constexpr unsigned kMaxDepth = 64;
  Result<std::vector<Entry>> entries = entries_of(dir_fd, prefix);
  if (!entries) return fail(std::move(entries).error());
  for (const Entry& entry : *entries) {
    if (found.size() >= max_files)
      return fail(ErrorCode::unavailable, prefix, "more files than can be kept");
    if (S_ISREG(entry.status.st_mode)) found.push_back(prefix + entry.name);
    if (!S_ISDIR(entry.status.st_mode) || depth >= kMaxDepth) continue;
    const Result<Fd> below = enter(dir_fd, entry.name, entry.status);
    if (!below) continue;
    Result<void> done =
        collect_files(below->get(), prefix + entry.name + "/", max_files, depth + 1, found);
    if (!done) return done;
  }
  return {};
}

}  // namespace

Result<FileId> file_id(int fd, const std::string& path) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, path, "cannot stat");
  return FileId{status.st_dev, status.st_ino};
}

int rename_without_replacing(int dir_fd, const std::string& from, const std::string& to) {
  constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE of <linux/fs.h>
  if (::syscall(SYS_renameat2, dir_fd, from.c_str(), dir_fd, to.c_str(), kNoReplace) == 0) return 0;
  if (errno != ENOSYS && errno != EINVAL) return -1;
  // NFS and some others do not have it. rename(2) itself refuses to replace a directory that is not empty.
  if (::faccessat(dir_fd, to.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return errno = EEXIST, -1;
  return ::renameat(dir_fd, from.c_str(), dir_fd, to.c_str());
}

Result<std::vector<std::string>> list_files(int dir_fd, std::size_t max_files) {
  std::vector<std::string> found;
  const Result<void> done = collect_files(dir_fd, "", max_files, 0, found);
  if (!done) return fail(done.error());
  std::sort(found.begin(), found.end());
  return found;
}

Result<void> copy_file(int from_fd, const std::string& from, int to_fd, const std::string& to) {
  const Result<Fd> from_parent = open_parent(from_fd, from, false);
  if (!from_parent) return fail(from_parent.error());
  const Result<Fd> source =
      open_at(from_parent->get(), base_name(from), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!source) return fail(source.error());
  struct stat status{};
  if (::fstat(source->get(), &status) != 0) return fail_errno(errno, from, "cannot stat");
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::malformed, from, "not a plain file");

  const Result<Fd> to_parent = open_parent(to_fd, to, true);
  if (!to_parent) return fail(to_parent.error());
  const std::string name = base_name(to);
  ::unlinkat(to_parent->get(), name.c_str(), 0);
  const mode_t mode = (status.st_mode & 0111) != 0 ? 0755 : 0644;
  const Result<Fd> target =
      open_at(to_parent->get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (!target) return fail(target.error());
  Result<void> copied = copy_bytes(source->get(), target->get(), to);
  if (!copied)
    ::unlinkat(to_parent->get(), name.c_str(), 0);  // half a file would pass for the whole
  return copied;
}

}  // namespace gpuctl
