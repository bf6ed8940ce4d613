// The accounting of a process tree, for a job that shares its cgroup with others or that has none.
#include <unistd.h>

#include <string>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/sampler.hpp"
#include "gpuctl/proc/walk.hpp"

namespace gpuctl::cgroup {
namespace {

// A sum that is unknown as soon as one summand is.
class Sum {
 public:
  void add(std::optional<std::uint64_t> value) {
    known_ = known_ && value && !__builtin_add_overflow(sum_, *value, &sum_);
  }
  void put(Usage& usage, Field field) const {
    if (known_) usage.set(field, sum_);
  }

 private:
  std::uint64_t sum_ = 0;
  bool known_ = true;
};

struct Sums {
  Sum cpu_user, cpu_system, cpu, threads;
  Sum pss, anon, file, shmem, swap;
  Sum read, written;
};

std::uint64_t usec_of(std::uint64_t ticks) {
  static const auto per_tick = static_cast<std::uint64_t>(kUsecPerSec / ::sysconf(_SC_CLK_TCK));
  return ticks * per_tick;
}

std::uint64_t or_zero(std::int64_t ticks) {
  return ticks < 0 ? 0 : static_cast<std::uint64_t>(ticks);
}

// The number behind "KEY:".
std::optional<std::uint64_t> number_behind(const std::string& text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.substr(0, key.size()) != key) continue;
    const std::string_view rest = trim(line.substr(key.size()));
    const Result<std::uint64_t> value =
        parse_unsigned(rest.substr(0, rest.find(' ')), std::string(key));
    return value ? std::optional(*value) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> kib_behind(const std::string& text, std::string_view key) {
  const std::optional<std::uint64_t> kib = number_behind(text, key);
  if (!kib || *kib >> 50 != 0) return std::nullopt;
  return *kib * 1024;
}

bool has_ended(const Error& error) {
  return error.code == ErrorCode::not_found || error.code == ErrorCode::vanished;
}

Result<std::string> read(const HostFs& fs, pid_t pid, const char* file) {
  return fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/" + file);
}

void add_memory(const HostFs& fs, pid_t pid, Sums& sums) {
  const Result<std::string> text = read(fs, pid, "smaps_rollup");
  if (!text && has_ended(text.error())) return;
  const std::string found = text ? *text : "";
  sums.pss.add(kib_behind(found, "Pss:"));
  sums.anon.add(kib_behind(found, "Pss_Anon:"));
  sums.file.add(kib_behind(found, "Pss_File:"));
  sums.shmem.add(kib_behind(found, "Pss_Shmem:"));
  sums.swap.add(kib_behind(found, "SwapPss:"));
}

void add_io(const HostFs& fs, pid_t pid, Sums& sums) {
  const Result<std::string> text = read(fs, pid, "io");
  if (!text && has_ended(text.error())) return;
  const std::string found = text ? *text : "";
  sums.read.add(number_behind(found, "read_bytes:"));
  sums.written.add(number_behind(found, "write_bytes:"));
}

void add_process(const HostFs& fs, const proc::Stat& stat, Sums& sums) {
  const std::uint64_t user = usec_of(stat.utime_ticks + or_zero(stat.cutime_ticks));
  const std::uint64_t system = usec_of(stat.stime_ticks + or_zero(stat.cstime_ticks));
  sums.cpu_user.add(user);
  sums.cpu_system.add(system);
  sums.cpu.add(user + system);
  if (stat.is_dead()) return;
  sums.threads.add(stat.threads);
  add_memory(fs, stat.pid, sums);
  add_io(fs, stat.pid, sums);
}

void put(const Sums& sums, Usage& usage) {
  sums.cpu.put(usage, Field::cpu_usage);
  sums.cpu_user.put(usage, Field::cpu_user);
  sums.cpu_system.put(usage, Field::cpu_system);
  sums.pss.put(usage, Field::memory_current);
  sums.anon.put(usage, Field::memory_anon);
  sums.file.put(usage, Field::memory_file);
  sums.shmem.put(usage, Field::memory_shmem);
  sums.swap.put(usage, Field::swap_current);
  sums.read.put(usage, Field::io_read);
  sums.written.put(usage, Field::io_write);
  sums.threads.put(usage, Field::pids_current);
}

}  // namespace

OneSample sample_processes(const HostFs& fs, pid_t root) {
  OneSample sample;
  sample.usage.taken_at = monotonic_usec();
  const Result<proc::Stat> stat = proc::read_stat(fs, root);
  if (!stat) {
    sample.error = stat.error();
    return sample;
  }
  bool complete = true;
  Sums sums;
  add_process(fs, *stat, sums);
  for (const proc::Stat& each : proc::descendants(fs, root, &complete)) add_process(fs, each, sums);
  if (!complete) {
    sample.error = fail(ErrorCode::unavailable, "",
                        "descriptors or memory ran out: processes of pid " + std::to_string(root) +
                            " may be missing")
                       .error;
    return sample;
  }
  sample.usage.identity = static_cast<std::uint64_t>(root);
  put(sums, sample.usage);
  return sample;
}

}  // namespace gpuctl::cgroup
