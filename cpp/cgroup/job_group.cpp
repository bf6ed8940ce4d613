#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/delegation.hpp"
#include "gpuctl/cgroup/group_files.hpp"
#include "gpuctl/cgroup/slot.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr std::uint64_t kMebibyte = std::uint64_t{1} << 20;
constexpr std::uint64_t kLeastGap = 64 * kMebibyte;
constexpr std::uint64_t kGuardRoom = 16 * kMebibyte;  // it must be seen above its limit
constexpr unsigned kMoveRounds = 50;                  // processes fork while they are moved
constexpr unsigned kEnableTries = 5;
constexpr std::uint64_t kCpuPeriodUsec = 100'000;
constexpr const char* kWantedControllers[] = {"cpu", "io", "memory", "pids"};
constexpr unsigned kMostLevels = 64;
constexpr Usec kRemovePatience =
    kUsecPerSec;  // the kernel lets go of a group a moment after its last process

std::vector<std::string> words_of(const Result<std::string>& text) {
  std::vector<std::string> words;
  if (!text) return words;
  for (const std::string_view word : split(trim(*text), ' ')) {
    if (!word.empty()) words.emplace_back(word);
  }
  return words;
}

bool has(const std::vector<std::string>& list, const std::string& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

Result<Fd> open_group(int parent_fd, const std::string& name) {
  return open_at(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

Result<Fd> make_directory(int parent_fd, const std::string& name) {
  if (::mkdirat(parent_fd, name.c_str(), 0755) != 0 && errno != EEXIST)
    return fail_errno(errno, name, "cannot make the cgroup");
  return open_group(parent_fd, name);
}

// One round: everybody listed now. Who ended meanwhile has left by itself.
Result<void> move_all(const std::vector<pid_t>& pids, int to_fd) {
  for (const pid_t pid : pids) {
    if (pid == 0)
      return fail(ErrorCode::unsupported, "", "it holds processes of another pid namespace");
    const Result<void> moved = write_file(to_fd, "cgroup.procs", std::to_string(pid));
    if (!moved && moved.error().errno_value != ESRCH)
      return fail_errno(moved.error().errno_value, "", "cannot move pid " + std::to_string(pid));
  }
  return {};
}

Result<void> evacuate(const Place& place) {
  if (place.is_top || read_pids(place.dir.get()).empty()) return {};
  const Result<Fd> pilot = make_directory(place.dir.get(), kPilotGroup);
  if (!pilot) return fail(pilot.error());
  for (unsigned round = 0; round < kMoveRounds; ++round) {
    const std::vector<pid_t> pids = read_pids(place.dir.get());
    if (pids.empty()) return {};
    if (Result<void> moved = move_all(pids, pilot->get()); !moved) return moved;
  }
  return fail(ErrorCode::busy, place.path, "processes appear faster than they can be moved");
}

// EBUSY: somebody was born in the group since it was emptied.
Result<void> enable(const Place& place, const std::string& controller) {
  Result<void> done = fail(ErrorCode::busy, place.path, "");
  for (unsigned i = 0; i < kEnableTries; ++i) {
    done = write_file(place.dir.get(), "cgroup.subtree_control", "+" + controller);
    if (done || done.error().errno_value != EBUSY) return done;
    if (Result<void> empty = evacuate(place); !empty) return empty;
  }
  return done;
}

void enable_controllers(const Place& place, std::vector<std::string>& notes) {
  const std::vector<std::string> offered =
      words_of(read_file(place.dir.get(), "cgroup.controllers"));
  const std::vector<std::string> given =
      words_of(read_file(place.dir.get(), "cgroup.subtree_control"));
  bool is_empty = false;
  for (const char* wanted : kWantedControllers) {
    if (has(given, wanted)) continue;
    if (!has(offered, wanted)) {
      notes.push_back(std::string("the slot has no ") + wanted + " controller");
      continue;
    }
    Result<void> done = is_empty ? Result<void>() : evacuate(place);
    is_empty = done.has_value();
    if (done) done = enable(place, wanted);
    if (!done)
      notes.push_back(std::string("no ") + wanted + " controller: " + done.error().message());
    if (!is_empty) return;
  }
}

std::optional<std::uint64_t> number_in(int dir_fd, const char* file) {
  const Result<std::string> text = read_file(dir_fd, file);
  if (!text) return std::nullopt;
  const Result<std::uint64_t> number = parse_unsigned(trim(*text), file);
  return number ? std::optional<std::uint64_t>(*number) : std::nullopt;  // "max" is no limit
}

// What those in the pilot group hold and cannot give back: all but page cache.
std::uint64_t pilots_memory(const Place& place) {
  const Result<Fd> pilot = open_group(place.dir.get(), kPilotGroup);
  if (!pilot) return 0;
  std::uint64_t sum = 0;
  for (const char* key : {"anon", "shmem", "kernel"}) {
    const Result<std::string> value = read_key(pilot->get(), "memory.stat", key);
    if (value) sum += parse_unsigned(trim(*value), key).value_or(0U);
  }
  return sum;
}

std::optional<std::uint64_t> memory_limit(const Place& place, const GroupLimits& limits) {
  if (limits.memory_bytes) return limits.memory_bytes;
  const std::optional<std::uint64_t> slot = slot_memory_limit(place);
  if (!slot) return std::nullopt;
  const std::uint64_t gap = std::min(*slot / 4, kLeastGap + pilots_memory(place));
  return *slot - gap;
}

class Setter {
 public:
  explicit Setter(JobGroup& group) : group_(group) {}

  // A limit that the job was promised.
  bool set(const char* file, const std::string& value) {
    const Result<void> written = write_file(group_.dir.get(), file, value);
    if (!written)
      group_.notes.push_back(std::string("cannot set ") + file + ": " + written.error().message());
    return written.has_value();
  }

  // One more that only some kernels have.
  void offer(const char* file, const std::string& value) {
    static_cast<void>(write_file(group_.dir.get(), file, value));
  }

 private:
  JobGroup& group_;
};

// HTCondor's starter watches memory.events of its own cgroup, which counts the kills in all groups below it.
void set_guarded_memory(std::uint64_t limit, Setter& setter, JobGroup& group) {
  setter.offer("memory.high", std::to_string(limit + kGuardRoom));
  group.memory_guard_bytes = limit;
  group.notes.push_back("gpuctl keeps the memory limit of " + std::to_string(limit) +
                        " bytes itself: HTCondor would end the slot for a memory kill in it");
}

void set_memory(std::uint64_t limit, bool is_wanted, Setter& setter, JobGroup& group) {
  if (!is_wanted && !has(group.controllers, "memory")) return;
  if (setter.set("memory.max", std::to_string(limit))) group.memory_limit_bytes = limit;
  if (is_wanted) setter.offer("memory.swap.max", "0");
}

void set_limits(const Place& place, const GroupLimits& limits, JobGroup& group) {
  Setter setter(group);
  const std::optional<std::uint64_t> memory = memory_limit(place, limits);
  const bool has_memory = has(group.controllers, "memory");
  const bool guarded = slot_of(place.path).kind == SlotKind::htcondor;
  if (memory && guarded) set_guarded_memory(*memory, setter, group);
  if (memory && !guarded) set_memory(*memory, limits.memory_bytes.has_value(), setter, group);
  if (has_memory) setter.offer("memory.oom.group", "1");
  if (limits.cpu_millis) {
    setter.set("cpu.max", std::to_string(*limits.cpu_millis * kCpuPeriodUsec / 1000) + " " +
                              std::to_string(kCpuPeriodUsec));
  }
  if (limits.pids) setter.set("pids.max", std::to_string(*limits.pids));
}

std::uint64_t inode_of(int fd) {
  struct stat status{};
  return ::fstat(fd, &status) == 0 ? std::uint64_t{status.st_ino} : 0;
}

void remove_groups_below(int dir_fd, unsigned levels) {
  for (const std::string& name : group_names(dir_fd)) {
    const Result<Fd> below = levels > 0 ? open_group(dir_fd, name) : Result<Fd>(Fd());
    if (below && *below) remove_groups_below(below->get(), levels - 1);
    ::unlinkat(dir_fd, name.c_str(), AT_REMOVEDIR);
  }
}

}  // namespace

// ".." never leads out of the hierarchy: its depth is known.
std::optional<std::uint64_t> slot_memory_limit(const Place& place) {
  std::optional<std::uint64_t> least = number_in(place.dir.get(), "memory.max");
  std::string up = "..";
  const auto depth = std::count(place.directory.begin(), place.directory.end(), '/') -
                     std::count(place.mount_point.begin(), place.mount_point.end(), '/');
  for (auto level = depth; level > 0; --level, up += "/..") {
    const std::optional<std::uint64_t> limit =
        number_in(place.dir.get(), (up + "/memory.max").c_str());
    if (limit && (!least || *limit < *least)) least = limit;
  }
  return least;
}

Result<JobGroup> make_group(const Place& place, const std::string& name,
                            const GroupLimits& limits) {
  JobGroup group;
  enable_controllers(place, group.notes);
  if (::mkdirat(place.dir.get(), name.c_str(), 0755) != 0)
    return fail_errno(errno, place.path + "/" + name, "cannot make the job's cgroup");
  Result<Fd> dir = open_group(place.dir.get(), name);
  if (!dir) {
    ::unlinkat(place.dir.get(), name.c_str(), AT_REMOVEDIR);
    return fail(dir.error());
  }
  group.dir = std::move(*dir);
  group.name = name;
  group.path = (place.path == "/" ? "" : place.path) + "/" + name;
  group.inode = inode_of(group.dir.get());
  group.controllers = words_of(read_file(group.dir.get(), "cgroup.controllers"));
  std::sort(group.controllers.begin(), group.controllers.end());
  set_limits(place, limits, group);
  return group;
}

Result<void> remove_group(const Place& place, const std::string& name, std::uint64_t inode) {
  const Result<Fd> group = open_group(place.dir.get(), name);
  if (!group) {
    const ErrorCode code = group.error().code;
    return code == ErrorCode::not_found || code == ErrorCode::vanished ? Result<void>()
                                                                       : fail(group.error());
  }
  if (inode != 0 && inode_of(group->get()) != inode)
    return fail(ErrorCode::unavailable, place.path + "/" + name, "another cgroup has its name now");
  for (const Usec end = monotonic_usec() + kRemovePatience;;) {
    remove_groups_below(group->get(), kMostLevels);
    if (::unlinkat(place.dir.get(), name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
    if (errno != EBUSY || monotonic_usec() > end)
      return fail_errno(errno, place.path + "/" + name, "cannot remove the job's cgroup");
    ::poll(nullptr, 0, 1);
  }
}

}  // namespace gpuctl::cgroup
