#include "gpuctl/cgroup/group_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{16} << 20;  // cgroup.procs of a million processes
constexpr unsigned kMostLevels = 64;

struct CloseDir {
  void operator()(DIR* directory) const { ::closedir(directory); }
};

void visit_levels(int dir_fd, const std::function<void(int)>& visit, unsigned levels) {
  visit(dir_fd);
  if (levels == 0) return;
  for (const std::string& name : group_names(dir_fd)) {
    const Result<Fd> below = open_at(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (below) visit_levels(below->get(), visit, levels - 1);
  }
}

}  // namespace

std::vector<std::string> group_names(int dir_fd) {
  const int again = ::openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (again < 0) return {};
  const std::unique_ptr<DIR, CloseDir> directory(::fdopendir(again));
  std::vector<std::string> names;
  while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(name);
  }
  return names;
}

Result<std::string> read_file(int dir_fd, const char* name) {
  const Result<Fd> fd = open_at(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  return read_all(fd->get(), kMaxBytes, name);
}

Result<void> write_file(int dir_fd, const char* name, const std::string& text) {
  const Result<Fd> fd = open_at(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  return write_all(fd->get(), text, name);
}

std::optional<std::string_view> value_of(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = take_until(text, '\n');
    if (line.size() > key.size() && line[key.size()] == ' ' && line.substr(0, key.size()) == key)
      return line.substr(key.size() + 1);
  }
  return std::nullopt;
}

Result<std::string> read_key(int dir_fd, const char* name, const std::string& key) {
  const Result<std::string> text = read_file(dir_fd, name);
  if (!text) return fail(text.error());
  if (const std::optional<std::string_view> value = value_of(*text, key))
    return std::string(*value);
  return fail(ErrorCode::malformed, name, "no `" + key + "` in it");
}

std::vector<pid_t> read_pids(int dir_fd) {
  Result<std::string> text = read_file(dir_fd, "cgroup.procs");
  // The group is threaded: whole processes are listed at the root of its threaded subtree only.
  if (!text && text.error().errno_value == EOPNOTSUPP) text = read_file(dir_fd, "cgroup.threads");
  std::vector<pid_t> pids;
  if (!text) return pids;
  for (const std::string_view line : split(*text, '\n')) {
    const Result<std::uint64_t> pid = parse_unsigned(line, "pid", 10, 0x7fffffff);
    if (pid) pids.push_back(static_cast<pid_t>(*pid));
  }
  return pids;
}

void for_each_group(int dir_fd, const std::function<void(int)>& visit) {
  visit_levels(dir_fd, visit, kMostLevels);
}

}  // namespace gpuctl::cgroup
