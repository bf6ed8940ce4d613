#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "columns.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/proc/snapshot.hpp"

namespace gpuctl::proc {
namespace {

using internal::ProcDir;
using internal::Took;

constexpr std::uint32_t kOwnerEvery = 16;  // samples
constexpr std::uint32_t kListEvery = 16;
constexpr std::size_t kLoadavgBytes = 128;
constexpr std::size_t kMaxStatusBytes = 4096;

// More numbers than that are listed faster than they are tried one by one.
constexpr pid_t kMostTried = 32;

// "0.20 0.18 0.12 1/80 11206" (proc_loadavg(5)): 80 threads on the node, 11206 the number last given out.
struct Births {
  std::uint64_t threads = 0;
  pid_t last = 0;
};

std::optional<Births> births_in(const std::optional<std::string_view>& loadavg) {
  if (!loadavg || loadavg->find('/') == std::string_view::npos) return std::nullopt;
  const std::string_view text = trim(loadavg->substr(loadavg->find('/') + 1));
  const std::size_t blank = std::min(text.find(' '), text.size());
  const Result<std::uint64_t> threads = parse_unsigned(text.substr(0, blank), "threads");
  const Result<std::uint64_t> last =
      parse_unsigned(text.substr(std::min(blank + 1, text.size())), "last pid", 10, 0x7fffffff);
  if (!threads || !last) return std::nullopt;
  return Births{*threads, static_cast<pid_t>(*last)};
}

// A process that was there in the sample before.
struct Known {
  pid_t pid = 0;
  Fd stat;
  uid_t uid = 0;
  char name[sizeof Row::name] = {};
};

// One for each number that is listed now, with what was known of it; the descriptors of those that left are closed.
std::vector<Known> matched(std::vector<Known> before, const std::vector<pid_t>& pids) {
  const auto same = [](const Known& known, pid_t pid) { return known.pid == pid; };
  if (std::equal(before.begin(), before.end(), pids.begin(), pids.end(), same)) return before;
  std::vector<Known> now;
  now.reserve(pids.size());
  auto old = before.begin();
  for (const pid_t pid : pids) {
    while (old != before.end() && old->pid < pid) ++old;
    if (old != before.end() && old->pid == pid) {
      now.push_back(std::move(*old));
    } else {
      now.emplace_back().pid = pid;
    }
  }
  return now;
}

}  // namespace

struct Sampler::State {
  State(const HostFs& host, ProcDir table, Fd births_file, SnapshotOptions wanted, std::size_t most)
      : proc(std::move(table)),
        loadavg(std::move(births_file)),
        fs(host),
        options(std::move(wanted)),
        max_descriptors(most) {}

  ProcDir proc;
  Fd loadavg;                    // invalid in a recording without it
  std::optional<Births> births;  // what it said before the last listing
  const HostFs& fs;
  SnapshotOptions options;
  std::size_t max_descriptors;
  std::uint32_t samples = 0;
  std::vector<Known> known;  // by pid, ascending
  std::vector<pid_t> pids;

  std::size_t kept() const {
    return static_cast<std::size_t>(
        std::count_if(known.begin(), known.end(), [](const Known& each) { return !!each.stat; }));
  }

  // Through the kept descriptor; anything but `yes` means that the number has to be looked at afresh.
  Took read_again(Known& process, Row& row) {
    const auto text = proc.read_open(process.stat.get(), internal::kMaxStatBytes);
    if (!text) return Took::gone;  // ESRCH: reaped, whoever bears the number now
    if (!internal::fill_from_stat(*text, row)) return Took::gone;
    const bool its_turn = (static_cast<std::uint32_t>(process.pid) + samples) % kOwnerEvery == 0;
    if (its_turn || std::memcmp(process.name, row.name, sizeof row.name) != 0) {
      const std::optional<uid_t> uid = proc.owner(process.pid);
      if (!uid) return Took::gone;
      process.uid = *uid;
      std::memcpy(process.name, row.name, sizeof row.name);
    }
    row.uid = process.uid;
    return Took::yes;
  }

  Took read_first(Known& process, Row& row) {
    const std::optional<uid_t> uid = proc.owner(process.pid);
    if (!uid) return internal::outcome_of_errno(errno);
    if (options.uid && *options.uid != *uid) return Took::gone;
    Fd stat = proc.open_file(process.pid, "stat");
    if (!stat) return internal::outcome_of_errno(errno);
    const auto text = proc.read_open(stat.get(), internal::kMaxStatBytes);
    if (!text || !internal::fill_from_stat(*text, row)) return Took::gone;
    row.uid = process.uid = *uid;
    std::memcpy(process.name, row.name, sizeof row.name);
    process.stat = std::move(stat);
    return Took::yes;
  }

  // Numbers are given out in ascending order, so that those born since the last listing have the ones up to the number
  // last given out: a few of them are tried one by one, which saves the listing, a tenth of the cost. Whoever is missed by
  // that (born with a number of its own choosing, or all numbers came round within one interval) is found later.
  Result<void> list_if_born() {
    const bool its_turn = samples % kListEvery == 0;
    const auto now =
        loadavg ? births_in(proc.read_open(loadavg.get(), kLoadavgBytes)) : std::nullopt;
    const std::optional<Births> before = std::exchange(births, now);
    if (its_turn || !now || !before || now->last < before->last ||
        now->last - before->last > kMostTried ||
        (now->last == before->last && now->threads > before->threads))
      return proc.list(pids);
    for (pid_t pid = before->last + 1; pid <= now->last; ++pid) {
      if (is_process(pid)) pids.insert(std::lower_bound(pids.begin(), pids.end(), pid), pid);
    }
    return {};
  }

  // Threads have a directory of their number too, which is not listed. `pid` is not in `pids` yet, or is again.
  bool is_process(pid_t pid) {
    if (std::binary_search(pids.begin(), pids.end(), pid)) return false;
    const auto text = proc.read(pid, "status", kMaxStatusBytes);
    return text && internal::number_behind(*text, "Tgid:") == static_cast<std::uint64_t>(pid);
  }

  Took read(Known& process, Row& row) {
    if (process.stat) {
      if (read_again(process, row) == Took::yes) return Took::yes;
      process.stat.reset();
      row = Row();
    }
    return read_first(process, row);
  }
};

Sampler::Sampler(std::unique_ptr<State> state) : state_(std::move(state)) {}
Sampler::~Sampler() = default;
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;

Result<Sampler> Sampler::open(const HostFs& fs, SnapshotOptions options,
                              std::size_t max_descriptors) {
  Result<ProcDir> proc = ProcDir::open(fs);
  if (!proc) return fail(std::move(proc).error());
  Result<Fd> loadavg = fs.open_path(host_paths::kLoadavg, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  return Sampler(std::make_unique<State>(fs, std::move(*proc), loadavg ? std::move(*loadavg) : Fd(),
                                         std::move(options), max_descriptors));
}

std::size_t Sampler::descriptors() const { return state_->kept(); }

Result<Snapshot> Sampler::sample() {
  State& state = *state_;
  Snapshot snapshot;
  snapshot.taken_at = monotonic_usec();
  // Taken out for the time of the pass: what ends early closes them and starts afresh next time.
  std::vector<Known> before = std::move(state.known);
  state.known.clear();
  if (Result<void> listed = state.list_if_born(); !listed) return fail(listed.error());
  ++state.samples;
  internal::OptionalColumns columns(state.options, snapshot);
  snapshot.rows.reserve(state.pids.size());
  std::vector<Known> now = matched(std::move(before), state.pids);
  std::size_t kept = 0;
  for (Known& process : now) {
    Row row;
    const Took took = state.read(process, row);
    if (took == Took::no_resource)
      return fail_errno(errno, state.fs.where(host_paths::kProc), "cannot read every process");
    if (took == Took::forbidden) ++snapshot.unreadable;
    if (kept >= state.max_descriptors) process.stat.reset();
    if (process.stat) ++kept;
    if (took != Took::yes || (state.options.uid && *state.options.uid != row.uid)) continue;
    columns.read(state.proc, row);
    snapshot.rows.push_back(row);
  }
  state.known = std::move(now);
  return snapshot;
}

std::size_t default_descriptor_budget() {
  struct rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  constexpr rlim_t kPlenty = 1U << 20;
  return static_cast<std::size_t>(std::min(limit.rlim_cur, kPlenty) / 2);
}

}  // namespace gpuctl::proc
