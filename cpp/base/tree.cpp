#include "gpuctl/base/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <set>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl {
namespace {

struct Entry {
  std::string name;
  struct stat status;
};

struct CloseDir {
  void operator()(DIR* stream) const { ::closedir(stream); }
};

// The names in a directory, one after the other, without "." and "..".
class Listing {
 public:
  static Result<Listing> open(int dir_fd, const std::string& path) {
    Result<Fd> fd = open_at(dir_fd, ".", O_RDONLY | O_DIRECTORY);
    if (!fd) return fail(std::move(fd).error());
    DIR* stream = ::fdopendir(fd->get());
    if (stream == nullptr) return fail_errno(errno, path, "cannot list");
    fd->release();
    return Listing(stream);
  }

  const dirent* next() {
    while (const dirent* each = ::readdir(stream_.get())) {
      if (std::strcmp(each->d_name, ".") != 0 && std::strcmp(each->d_name, "..") != 0) return each;
    }
    return nullptr;
  }

 private:
  explicit Listing(DIR* stream) : stream_(stream) {}

  std::unique_ptr<DIR, CloseDir> stream_;
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

// A directory without rights for its owner can still be the job's: give them back before entering.
Result<Fd> enter(int parent_fd, const std::string& name, const struct stat& status) {
  if ((status.st_mode & 0700) != 0700) ::fchmodat(parent_fd, name.c_str(), 0700, 0);
  return open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

// Which mount a descriptor was reached through (proc_pid_fdinfo(5)). The device tells less: a bind mount of another
// directory of the same file system has the same one.
Result<std::uint64_t> mount_of(int fd) {
  const std::string path = std::string(host_paths::kLiveSelfFdinfo) + "/" + std::to_string(fd);
  const Result<Fd> file = open_at(AT_FDCWD, path, O_RDONLY);
  if (!file) return fail(file.error());
  const Result<std::string> text = read_all(file->get(), 4096, path);
  if (!text) return fail(text.error());
  constexpr std::string_view kKey = "mnt_id:";
  for (const std::string_view line : split(*text, '\n')) {
    if (line.substr(0, kKey.size()) == kKey)
      return parse_unsigned(trim(line.substr(kKey.size())), path);
  }
  return fail(ErrorCode::unsupported, path, "no mnt_id");
}

// Depth-first without recursion: a payload may have nested thousands of directories, so neither the stack nor the
// table of descriptors may grow with the depth. The topmost levels keep their place in their listing, so that a wide
// directory is not listed anew for each of its directories; below, going up is by "..", checked against the inode that
// we came from. Nothing else is kept of a listing: there may be millions of names.
class Remover {
 public:
  Remover(Fd top, std::uint64_t mount, const FileId& id, std::string path)
      : mount_(mount), path_(std::move(path)) {
    levels_.push_back(Level{id, "", std::move(top)});
  }

  std::optional<Error> run() {
    while (true) {
      if (descend_or_empty()) continue;
      if (levels_.size() == 1 || !ascend()) return std::move(first_error_);
    }
  }

 private:
  static constexpr std::size_t kKeptLevels = 16;

  struct Level {
    FileId id;
    std::string name;  // in its parent
    Fd fd{};           // closed in a deep tree while a level below is worked on
    std::optional<Listing> listing{};
    bool changed = false;             // something was removed since the listing began
    std::set<std::string> skipped{};  // entries that cannot go
  };

  void note(Error error) {
    if (!first_error_) first_error_ = std::move(error);
  }

  Error trouble(ErrorCode code, const std::string& name, const char* detail) const {
    return Error{code, 0, path_ + "/…/" + printable(name), detail};
  }

  // Empties the current directory of files and enters the first directory that it meets; false when a whole listing
  // shows nothing more to do. Some file systems pass over names while others are removed: hence one more listing.
  bool descend_or_empty() {
    Level& level = levels_.back();
    if (!level.listing) {
      Result<Listing> listing = Listing::open(level.fd.get(), path_);
      if (!listing) return note(std::move(listing).error()), false;
      level.listing = std::move(*listing);
      level.changed = false;
    }
    while (const dirent* each = level.listing->next()) {
      if (level.skipped.count(each->d_name) != 0) continue;
      if (is_directory(level.fd.get(), *each)) {
        level.changed = true;
        if (go_down(each->d_name)) return true;
      } else if (::unlinkat(level.fd.get(), each->d_name, 0) == 0) {
        level.changed = true;
      } else if (errno != ENOENT) {
        skip(each->d_name,
             system_error(errno, path_ + "/…/" + printable(each->d_name), "cannot remove"));
      }
    }
    level.listing.reset();
    return level.changed;
  }

  static bool is_directory(int dir_fd, const dirent& entry) {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
    struct stat status{};
    return ::fstatat(dir_fd, entry.d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(status.st_mode);
  }

  void skip(const std::string& name, Error error) {
    levels_.back().skipped.insert(name);
    note(std::move(error));
  }

  bool go_down(const std::string& name) {
    const int parent = levels_.back().fd.get();
    struct stat status{};
    if (::fstatat(parent, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISDIR(status.st_mode))
      return false;
    if (status.st_dev != levels_.front().id.device) {
      return skip(name, trouble(ErrorCode::busy, name, "another file system is mounted there")),
             false;
    }
    Result<Fd> fd = enter(parent, name, status);
    if (!fd) return skip(name, std::move(fd).error()), false;
    const Result<FileId> id = file_id(fd->get(), name);
    const Result<std::uint64_t> mount = mount_of(fd->get());
    if (!mount || *mount != mount_)
      return skip(name, trouble(ErrorCode::busy, name, "something is mounted there")), false;
    if (!id || id->device != levels_.front().id.device) {
      return skip(name, trouble(ErrorCode::busy, name, "not the directory that was listed")), false;
    }
    if (levels_.size() > kKeptLevels) {
      levels_.back().listing.reset();
      levels_.back().fd.reset();
    }
    levels_.push_back(Level{*id, name, std::move(*fd)});
    return true;
  }

  bool ascend() {
    const Level done = std::move(levels_.back());
    levels_.pop_back();
    Level& level = levels_.back();
    if (!level.fd) {
      Result<Fd> parent = open_at(done.fd.get(), "..", O_RDONLY | O_DIRECTORY);
      if (!parent) return note(std::move(parent).error()), false;
      const Result<FileId> id = file_id(parent->get(), path_);
      if (!id || !(*id == level.id)) {
        return note(Error{ErrorCode::vanished, 0, path_,
                          "a directory was moved while it was removed"}),
               false;
      }
      level.fd = std::move(*parent);
    }
    if (::unlinkat(level.fd.get(), done.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
      skip(done.name, system_error(errno, path_ + "/…/" + printable(done.name), "cannot remove"));
    }
    return true;
  }

  std::uint64_t mount_;
  std::string path_;
  std::vector<Level> levels_;
  std::optional<Error> first_error_;
};

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

Result<void> remove_tree(int parent_fd, const std::string& name, const FileId& id) {
  struct stat status{};
  if (::fstatat(parent_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_errno(errno, name, "cannot stat");
  }
  if (!S_ISDIR(status.st_mode) || !(FileId{status.st_dev, status.st_ino} == id)) {
    return fail(ErrorCode::malformed, name, "not the directory that was made: left alone");
  }
  Result<Fd> top = enter(parent_fd, name, status);
  if (!top) return fail(std::move(top).error());
  const Result<std::uint64_t> mount = mount_of(top->get());
  if (!mount) return fail(mount.error());
  if (std::optional<Error> error = Remover(std::move(*top), *mount, id, name).run())
    return fail(std::move(*error));
  if (::unlinkat(parent_fd, name.c_str(), AT_REMOVEDIR) != 0)
    return fail_errno(errno, name, "cannot remove");
  return {};
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
