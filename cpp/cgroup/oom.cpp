#include "gpuctl/cgroup/oom.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/group_files.hpp"

namespace gpuctl::cgroup {
namespace {

constexpr unsigned kMostLogRecords = 20'000;

std::optional<std::uint64_t> count_in(const Result<std::string>& text, const char* key) {
  const std::optional<std::string_view> value = text ? value_of(*text, key) : std::nullopt;
  if (!value) return std::nullopt;
  const Result<std::uint64_t> number = parse_unsigned(trim(*value), key);
  return number ? std::optional<std::uint64_t>(*number) : std::nullopt;
}

std::optional<std::uint64_t> growth(const std::optional<std::uint64_t>& before,
                                    const std::optional<std::uint64_t>& after) {
  if (!before || !after) return std::nullopt;
  return *after > *before ? *after - *before : 0;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

// "key=value" of a list with commas, up to the next comma.
std::optional<std::string> field_of(const std::string& line, const std::string& key) {
  const std::size_t at = line.find("," + key + "=");
  if (at == std::string::npos) return std::nullopt;
  const std::size_t from = at + key.size() + 2;
  return line.substr(from, line.find_first_of(",\n", from) - from);
}

bool is_at_or_below(const std::string& path, const std::string& top) {
  return path == top || (path.compare(0, top.size(), top) == 0 && path[top.size()] == '/');
}

Fd open_kernel_log() {
  Fd log(::open(host_paths::kLiveKernelLog, O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (log && ::lseek(log.get(), 0, SEEK_END) < 0) log.reset();
  return log;
}

}  // namespace

const char* name_of(OomLevel level) {
  switch (level) {
    case OomLevel::none: return "none";
    case OomLevel::job: return "job";
    case OomLevel::slot: return "slot";
    case OomLevel::node: return "node";
    case OomLevel::unknown: return "unknown";
  }
  return "unknown";
}

// Names of processes may hold anything; the kernel writes the victim's last, before pid and uid.
std::optional<OomVictim> parse_oom_line(const std::string& line) {
  if (line.find("oom-kill:") == std::string::npos) return std::nullopt;
  const std::optional<std::string> group = field_of(line, "task_memcg");
  const std::size_t name_at = line.find(",task=");
  const std::size_t pid_at = line.rfind(",pid=");
  if (!group || name_at == std::string::npos || pid_at == std::string::npos || pid_at < name_at)
    return std::nullopt;
  const std::size_t number_at = pid_at + 5;
  const Result<std::uint64_t> pid = parse_unsigned(
      line.substr(number_at, line.find_first_not_of("0123456789", number_at) - number_at), "pid",
      10, 0x7fffffff);
  if (!pid) return std::nullopt;
  return OomVictim{static_cast<std::int64_t>(*pid), line.substr(name_at + 6, pid_at - name_at - 6),
                   *group};
}

OomWatch OomWatch::begin(const HostFs& fs, const Scope& scope) {
  OomWatch watch(fs);
  watch.is_own_ = scope.is_own;
  std::string path = scope.path;
  for (std::string directory = scope.directory;; directory = parent_of(directory)) {
    Result<Fd> dir = fs.open_path(directory.substr(1), O_RDONLY | O_DIRECTORY);
    if (dir) {
      Level level{std::move(*dir), path, scope.is_own && watch.levels_.empty(), {}};
      level.before = watch.read_counts(level);
      watch.levels_.push_back(std::move(level));
    }
    if (directory.size() <= scope.mount_point.size()) break;
    path = parent_of(path);
  }
  watch.node_before_ = watch.node_kills();
  watch.kernel_log_ = fs.is_live() ? open_kernel_log() : Fd();
  return watch;
}

OomWatch OomWatch::begin_v1(const HostFs& fs, const std::string& dir, const std::string& path) {
  OomWatch watch(fs);
  watch.is_v1_ = true;
  if (Result<Fd> opened = fs.open_path(dir, O_RDONLY | O_DIRECTORY)) {
    Level level{std::move(*opened), path, false, {}};
    level.before = watch.read_counts(level);
    watch.levels_.push_back(std::move(level));
  }
  watch.node_before_ = watch.node_kills();
  watch.kernel_log_ = fs.is_live() ? open_kernel_log() : Fd();
  return watch;
}

OomWatch::Counts OomWatch::read_counts(const Level& level) const {
  const int fd = level.dir.get();
  if (is_v1_)
    return {count_in(read_file(fd, "memory.oom_control"), "oom_kill"), std::nullopt, std::nullopt};
  const Result<std::string> events = read_file(fd, "memory.events");
  if (!events) return {};
  Counts counts;
  counts.kills = count_in(events, "oom_kill");
  counts.group_kills = count_in(events, "oom_group_kill");
  // The payload may have made groups with limits in the job's own: those are the job's too.
  if (!level.is_jobs)
    counts.limit_met = count_in(read_file(fd, "memory.events.local"), "oom");  // 5.2
  if (!counts.limit_met) counts.limit_met = count_in(events, "oom");
  return counts;
}

std::optional<std::uint64_t> OomWatch::node_kills() const {
  return count_in(fs_.read_file(host_paths::kVmstat), "oom_kill");
}

// The nearest group whose limit was met.
void OomWatch::find_limit(OomVerdict& verdict) const {
  for (const Level& level : levels_) {
    if (growth(level.before.limit_met, read_counts(level).limit_met).value_or(0) == 0) continue;
    verdict.level = level.is_jobs ? OomLevel::job : OomLevel::slot;
    verdict.limit_path = level.path;
    return;
  }
  verdict.level = OomLevel::node;
}

std::optional<OomVictim> OomWatch::find_victim() const {
  if (!kernel_log_ || levels_.empty()) return std::nullopt;
  std::optional<OomVictim> found;
  std::array<char, 8192> record{};
  for (unsigned i = 0; i < kMostLogRecords; ++i) {
    const ssize_t size = ::read(kernel_log_.get(), record.data(), record.size());
    if (size < 0 && errno == EPIPE) continue;  // records were overwritten before we came: go on
    if (size <= 0) break;
    std::optional<OomVictim> victim =
        parse_oom_line(std::string(record.data(), static_cast<std::size_t>(size)));
    if (victim && is_at_or_below(victim->group, levels_.front().path)) found = std::move(victim);
  }
  return found;
}

OomVerdict OomWatch::judge(const OomEvidence& evidence) const {
  OomVerdict verdict;
  const bool looks_hit = evidence.ended_by_kill && !evidence.kill_was_ours;
  const Counts now = levels_.empty() ? Counts() : read_counts(levels_.front());
  const Counts before = levels_.empty() ? Counts() : levels_.front().before;
  verdict.kills = growth(before.kills, now.kills);
  if (!verdict.kills) {
    // Nobody counts for this job; the node counts for all of them.
    const std::uint64_t on_node = growth(node_before_, node_kills()).value_or(0);
    verdict.certain = false;
    if (on_node == 0 || !looks_hit) return verdict;
    verdict.level = OomLevel::unknown;
    return verdict;
  }
  verdict.certain = is_own_;
  if (*verdict.kills == 0 || (!is_own_ && !looks_hit)) return verdict;
  verdict.whole_group = growth(before.group_kills, now.group_kills).value_or(0) > 0;
  find_limit(verdict);
  if (is_v1_) verdict.level = OomLevel::unknown;  // v1 has no word on whose limit it was
  verdict.victim = find_victim();
  return verdict;
}

}  // namespace gpuctl::cgroup
