#include "slot_guard.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/file.h>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/cgroup/group_files.hpp"

namespace gpuctl::job {
namespace {

constexpr const char* kJobPrefix = "job-";

std::optional<std::uint64_t> number(std::string_view text) {
  const Result<std::uint64_t> value = parse_unsigned(trim(text), "");
  return value ? std::optional<std::uint64_t>(*value) : std::nullopt;
}

std::optional<std::uint64_t> file_number(int dir_fd, const char* file) {
  const Result<std::string> text = cgroup::read_file(dir_fd, file);
  return text ? number(*text) : std::nullopt;
}

// What cannot be given back: no page cache. nullopt without a memory controller.
std::optional<std::uint64_t> held_bytes(int dir_fd) {
  std::uint64_t sum = 0;
  for (const char* key : {"anon", "shmem", "kernel"}) {
    const Result<std::string> value = cgroup::read_key(dir_fd, "memory.stat", key);
    if (!value && std::string_view(key) == "anon") return std::nullopt;
    if (value) sum += number(*value).value_or(0);  // `kernel` came with Linux 5.18
  }
  return sum + file_number(dir_fd, "memory.swap.current").value_or(0);
}

// "200000 100000" -> 2.
unsigned cores_of(int dir_fd) {
  const Result<std::string> text = cgroup::read_file(dir_fd, "cpu.max");
  if (!text) return 1;
  const std::vector<std::string_view> words = split(trim(*text), ' ');
  const std::uint64_t quota = number(words.front()).value_or(0);
  const std::uint64_t period = number(words.back()).value_or(0);
  if (words.size() != 2 || quota == 0 || period == 0) return 1;
  return static_cast<unsigned>((quota + period - 1) / period);
}

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(CPU_COUNT(&set));
}

// "MemAvailable:   123 kB" of proc_meminfo(5), in bytes.
std::optional<std::uint64_t> meminfo(const std::string& text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.substr(0, key.size()) != key) continue;
    const std::string_view value = trim(line.substr(key.size()));
    const auto kilobytes = number(value.substr(0, value.find(' ')));
    if (kilobytes) return *kilobytes * 1024;
  }
  return std::nullopt;
}

}  // namespace

std::vector<cgroup::JobMemory> SlotGuard::read_jobs() const {
  std::vector<cgroup::JobMemory> jobs;
  for (const std::string& name : cgroup::group_names(place_.dir.get())) {
    if (name.compare(0, 4, kJobPrefix) != 0) continue;
    const Result<Fd> dir = open_at(place_.dir.get(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    const auto held = dir ? held_bytes(dir->get()) : std::nullopt;
    if (!held) continue;
    cgroup::JobMemory job;
    job.name = name;
    job.cores = cores_of(dir->get());
    job.used_bytes = *held;
    job.requested_bytes = file_number(dir->get(), "memory.max");
    const auto before = used_before_.find(name);
    if (before != used_before_.end()) job.used_before_bytes = before->second;
    jobs.push_back(std::move(job));
  }
  return jobs;
}

cgroup::SlotMemory SlotGuard::read_slot() const {
  cgroup::SlotMemory slot;
  slot.cores = usable_cpus();
  slot.used_bytes = held_bytes(place_.dir.get());
  slot.limit_bytes = cgroup::slot_memory_limit(place_);
  const Result<std::string> machine = fs_.read_file(host_paths::kMeminfo);
  if (!machine) return slot;
  slot.machine_available_bytes = meminfo(*machine, "MemAvailable:");
  slot.swap_total_bytes = meminfo(*machine, "SwapTotal:");
  slot.swap_free_bytes = meminfo(*machine, "SwapFree:");
  return slot;
}

std::optional<std::string> SlotGuard::judge(const std::vector<cgroup::JobMemory>& jobs) const {
  const std::optional<cgroup::Preemption> victim =
      cgroup::choose_victim(read_slot(), jobs, policy_, margins_);
  if (!victim || jobs[victim->job].name != group_.name) return std::nullopt;
  return victim->evidence;
}

std::optional<std::string> SlotGuard::sentence() {
  if (lock_) return std::nullopt;  // it was told already
  std::vector<cgroup::JobMemory> jobs = read_jobs();
  std::optional<std::string> evidence = judge(jobs);
  if (evidence) {
    Result<Fd> slot = open_at(place_.dir.get(), ".", O_RDONLY | O_DIRECTORY);
    if (!slot || ::flock(slot->get(), LOCK_EX | LOCK_NB) != 0) return std::nullopt;
    // Somebody may have gone since we looked.
    evidence = judge(jobs = read_jobs());
    if (evidence) lock_ = std::move(*slot);
  }
  used_before_.clear();
  for (const cgroup::JobMemory& job : jobs) used_before_[job.name] = job.used_bytes;
  return evidence;
}

}  // namespace gpuctl::job
