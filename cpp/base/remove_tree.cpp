#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <set>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tree.hpp"
#include "listing.hpp"

namespace gpuctl {
namespace {

using internal::enter;
using internal::Listing;

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

}  // namespace

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

}  // namespace gpuctl
