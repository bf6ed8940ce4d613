// HostFs: reads a machine's /sys, /proc and /dev below one directory handle, live ("/") or recorded.
//
// A recorded machine is a directory that looks like "/", or a tar archive of one (`gpuctl capture`), which is unpacked into
// TMPDIR for as long as it is read. Links inside it resolve inside it: the entries of
// /sys/bus/pci/devices are symbolic links out of their folder, and an absolute or `../..` link must never reach
// the machine that gpuctl runs on. openat2(2) with RESOLVE_IN_ROOT does that in the kernel (5.6); where it is
// missing or forbidden by a seccomp filter, a walk by openat(2), one component at a time, gives the same answers.
//
// Paths are relative to the root and have no leading slash: "sys/bus/pci/devices". Nothing is ever written.
// Const members may be called from several threads at once.
//
//   Result<HostFs> fs = HostFs::open("/");
//   Result<Dir> device = fs->open_dir("sys/bus/pci/devices/0000:01:00.0");
//   Result<std::optional<std::string>> vendor = device->read_if_present("vendor");   // "0x10de"
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/result.hpp"

namespace gpuctl {

// No attribute of sysfs is larger than a page, no text of procfs that we read larger than this.
inline constexpr std::size_t kMaxKernelFileBytes = std::size_t{1} << 20;

// An open directory of the machine: reads the plain files in it. A file that is a symbolic link is refused
// (kernel attribute files never are), so a read cannot leave the directory.
class Dir {
 public:
  Dir(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // The file's text without its trailing newline; ErrorCode::not_found when it is absent.
  Result<std::string> read(const std::string& name) const;

  // The same, with nullopt for a file that is absent. An unreadable file is still an error.
  Result<std::optional<std::string>> read_if_present(const std::string& name) const;

  // An attribute of sysfs, of a page at most, which the kernel writes whole into one read(2): half the system calls. What
  // turns out to be something else is read as above.
  Result<std::string> read_attribute(const std::string& name) const;

  // The last component of a symbolic link's target ("driver" -> "nvidia"); nullopt when there is no link.
  Result<std::optional<std::string>> link_basename(const std::string& name) const;

  // The target text of a symbolic link, unresolved; nullopt when there is no link.
  Result<std::optional<std::string>> link_target(const std::string& name) const;

  // Names in it, sorted, without "." and "..".
  Result<std::vector<std::string>> names() const;

  bool exists(const std::string& name) const;

 private:
  std::string where(const std::string& name) const { return path_ + "/" + name; }

  Fd fd_;
  std::string path_;
};

class HostFs {
 public:
  // How paths are resolved. `walk` is for kernels without openat2; tests force it.
  enum class Resolver { automatic, walk };

  // `root` must be an existing directory or an archive; ErrorCode::usage otherwise.
  static Result<HostFs> open(const std::string& root, Resolver resolver = Resolver::automatic);

  // True for "/": the machine that we run on, so its processes and devices may be acted on.
  bool is_live() const { return live_; }
  const std::string& root() const { return root_; }

  Result<Dir> open_dir(const std::string& path) const;

  // open_dir, with nullopt where nothing is at `path` (no such bus, no such driver).
  Result<std::optional<Dir>> open_dir_if_present(const std::string& path) const;

  Result<std::string> read_file(const std::string& path,
                                std::size_t max_bytes = kMaxKernelFileBytes) const;
  Result<std::optional<std::string>> read_file_if_present(const std::string& path) const;

  // Opens `path` inside the root with `flags` (O_CLOEXEC is added).
  Result<Fd> open_path(const std::string& path, int flags) const;

  // What an error message calls `path`.
  std::string where(const std::string& path) const;

 private:
  struct Unpacked;  // removed with the last HostFs that reads it

  HostFs(Fd fd, std::string root, bool live, bool use_openat2)
      : fd_(std::move(fd)), root_(std::move(root)), live_(live), use_openat2_(use_openat2) {}

  static Result<HostFs> open_archive(const std::string& archive, Resolver resolver);

  std::shared_ptr<const Unpacked> unpacked_;
  Fd fd_;
  std::string root_;
  bool live_;
  bool use_openat2_;
};

}  // namespace gpuctl
