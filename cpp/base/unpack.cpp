// Reading tar archives that a stranger may have written.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tar.hpp"

namespace gpuctl {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kMaxEntries = 200'000;

// Where the fields of a ustar header are (POSIX, pax).
struct Field {
  std::size_t at;
  std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kSize{124, 12};
constexpr Field kType{156, 1};
constexpr Field kTarget{157, 100};
constexpr Field kMagic{257, 5};
constexpr Field kPrefix{345, 155};

std::string_view field(std::string_view header, const Field& where) {
  const std::string_view text = header.substr(where.at, where.size);
  return text.substr(0, text.find('\0'));
}

std::string full_name(std::string_view header) {
  const std::string_view prefix = field(header, kPrefix);
  const bool gnu =
      header.substr(kMagic.at + kMagic.size, 1) == " ";  // has times where POSIX has a prefix
  const std::string name(field(header, kName));
  return prefix.empty() || gnu ? name : std::string(prefix) + "/" + name;
}

// "30 path=sys/bus/…\n" of a pax header: the value of `key`.
std::optional<std::string> pax_value(std::string_view records, std::string_view key) {
  while (!records.empty()) {
    const std::size_t blank = records.find(' ');
    const Result<std::uint64_t> length = parse_unsigned(records.substr(0, blank), "length");
    if (!length || *length > records.size() || *length <= blank + 1) return std::nullopt;
    std::string_view record = records.substr(blank + 1, *length - blank - 2);
    records.remove_prefix(*length);
    if (take_until(record, '=') == key) return std::string(record);
  }
  return std::nullopt;
}

// The directory that holds the last part of `name`, made where it is missing; empty for a name that leaves the root.
std::optional<Fd> parent_of(int dir_fd, const std::vector<std::string_view>& parts) {
  Fd here(::fcntl(dir_fd, F_DUPFD_CLOEXEC, 0));
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::string part(parts[i]);
    if (::mkdirat(here.get(), part.c_str(), 0755) != 0 && errno != EEXIST) return std::nullopt;
    Fd below(::openat(here.get(), part.c_str(), O_DIRECTORY | O_NOFOLLOW | O_RDONLY | O_CLOEXEC));
    if (!below) return std::nullopt;
    here = std::move(below);
  }
  return here;
}

std::vector<std::string_view> parts_of(std::string_view name) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(name, '/')) {
    if (part == "..") return {};
    if (!part.empty() && part != ".") parts.push_back(part);
  }
  return parts;
}

class Unpacker {
 public:
  Unpacker(std::string_view archive, int dir_fd, const std::string& path)
      : rest_(archive), dir_fd_(dir_fd), path_(path) {}

  Result<void> run() {
    for (std::size_t count = 0; rest_.size() >= kBlock; ++count) {
      const std::string_view header = rest_.substr(0, kBlock);
      if (header.find_first_not_of('\0') == std::string_view::npos) return {};  // the end mark
      if (!is_tar(header)) return malformed("a block is no header");
      if (count == kMaxEntries) return malformed("more entries than any node has");
      const Result<std::uint64_t> size =
          parse_unsigned(trim(field(header, kSize)), "size", 8, rest_.size());
      if (!size || *size > rest_.size() - kBlock) return malformed("it is cut");
      const std::string_view content = rest_.substr(kBlock, *size);
      rest_.remove_prefix(std::min(rest_.size(), kBlock + (*size + kBlock - 1) / kBlock * kBlock));
      if (Result<void> done = take(header, content); !done) return done;
    }
    return {};
  }

 private:
  Failure malformed(const char* why) const {
    return fail(ErrorCode::malformed, path_, std::string("no whole tar archive: ") + why);
  }

  // Long names come before the entry that they are for.
  Result<void> take(std::string_view header, std::string_view content) {
    const char type = header[kType.at];
    const std::string text(content.substr(0, content.find('\0')));
    if (type == 'L') long_name_ = text;
    if (type == 'K') long_target_ = text;
    if (type == 'x') {
      if (auto name = pax_value(content, "path")) long_name_ = std::move(name);
      if (auto target = pax_value(content, "linkpath")) long_target_ = std::move(target);
    }
    if (type == 'L' || type == 'K' || type == 'x' || type == 'g') return {};
    const std::string name = long_name_.value_or(full_name(header));
    const std::string target = long_target_.value_or(std::string(field(header, kTarget)));
    long_name_.reset();
    long_target_.reset();
    return make(type, name, target, content);
  }

  Result<void> make(char type, const std::string& name, const std::string& target,
                    std::string_view content) {
    const std::vector<std::string_view> parts = parts_of(name);
    if (parts.empty() || name.front() == '/') return {};
    const std::optional<Fd> parent = parent_of(dir_fd_, parts);
    if (!parent) return {};
    const std::string last(parts.back());
    int result = 0;
    if (type == '5') result = ::mkdirat(parent->get(), last.c_str(), 0755);
    if (type == '2') result = ::symlinkat(target.c_str(), parent->get(), last.c_str());
    if (type == '0' || type == '\0') return make_file(parent->get(), last, content);
    if (result == 0 || errno == EEXIST) return {};
    return fail_errno(errno, path_, "cannot unpack `" + printable(name) + "`");
  }

  Result<void> make_file(int parent_fd, const std::string& name, std::string_view content) const {
    const Result<Fd> fd = open_at(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    if (!fd && fd.error().errno_value == EEXIST) return {};
    return fd ? write_all(fd->get(), content, path_) : fail(fd.error());
  }

  std::string_view rest_;
  int dir_fd_;
  const std::string& path_;
  std::optional<std::string> long_name_;
  std::optional<std::string> long_target_;
};

}  // namespace

bool is_tar(std::string_view archive) {
  return archive.size() >= kBlock && archive.substr(kMagic.at, kMagic.size) == "ustar";
}

Result<void> unpack(std::string_view archive, int dir_fd, const std::string& path) {
  if (!is_tar(archive)) return fail(ErrorCode::malformed, path, "no tar archive");
  return Unpacker(archive, dir_fd, path).run();
}

}  // namespace gpuctl
