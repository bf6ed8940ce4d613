#include "core.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <utility>

#include "drains.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/random.hpp"
#include "lease_files.hpp"
#include "steps.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr Usec kStuckAfter = 10 * kUsecPerSec;
constexpr long kFirstPauseNsec = 20'000;
constexpr long kLongestPauseNsec = 1'000'000;

void read_other(Core& core, Book& book, uid_t uid) {
  Result<std::optional<Table>> table =
      Table::open_other(core.dir.get(), uid, core.here.boot_id, core.in_user_namespace);
  if (!table) {
    if (table.error().code != ErrorCode::not_found) book.problems.push_back(table.error());
    return;
  }
  if (!*table) return;
  if (Result<void> read = (*table)->read(); !read) {
    book.problems.push_back(read.error());
    return;
  }
  for (const Slot& slot : (*table)->slots()) book.records.push_back(load(**table, slot));
  book.others.push_back(std::move(**table));
}

// The clock that files are stamped by, ktime_get_coarse_real_ts64() of the kernel.
timespec stamp_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return now;
}

// Whatever changes at `now` or later is stamped otherwise than `changed`. A file system may keep whole seconds only.
bool is_past(const timespec& changed, const timespec& now) {
  const time_t least = changed.tv_nsec == 0 ? 2 : 0;
  return std::pair(changed.tv_sec + least, changed.tv_nsec) < std::pair(now.tv_sec, now.tv_nsec);
}

bool is_as_listed(const struct stat& now, const Listing& listing) {
  return now.st_size == listing.size && now.st_mtim.tv_sec == listing.changed.tv_sec &&
         now.st_mtim.tv_nsec == listing.changed.tv_nsec;
}

void read_names(int dir_fd, Listing& listing) {
  alignas(dirent64) std::array<char, 4096> buffer{};
  ::lseek(dir_fd, 0, SEEK_SET);
  while (true) {
    const long got = ::syscall(SYS_getdents64, dir_fd, buffer.data(), buffer.size());
    if (got <= 0) return;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
      const std::string name = entry->d_name;
      if (const std::optional<uid_t> uid = table_owner(name)) listing.tables.push_back(*uid);
      if (const std::optional<uid_t> uid = drains_owner(name)) listing.drains.push_back(*uid);
      at += entry->d_reclen;
    }
  }
}

}  // namespace

// A lock is shared with the child of a fork: both would be in.
Result<Critical> Critical::enter(Core& core, bool exclusive) {
  if (!core.process.is_here())
    return fail(ErrorCode::usage, core.path, "the ledger was opened before a fork: open it anew");
  const int how = (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB;
  timespec pause{0, kFirstPauseNsec};
  const Usec deadline = monotonic_usec() + kStuckAfter;
  step("enter");
  while (::flock(core.dir.get(), how) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return fail_errno(errno, core.path, "cannot lock the ledger");
    step("busy");
    if (monotonic_usec() > deadline) {
      return fail(ErrorCode::timeout, core.path,
                  "somebody has kept the ledger locked for 10 s: a stopped gpuctl, perhaps");
    }
    ::nanosleep(&pause, nullptr);
    pause.tv_nsec = std::min(pause.tv_nsec * 2, kLongestPauseNsec);
  }
  step("entered");
  core.audit.look_again();
  return Critical(core.dir.get());
}

void Critical::leave() {
  if (fd_ < 0) return;
  step("leave");
  ::flock(fd_, LOCK_UN);
  fd_ = -1;
  step("left");
}

const Listing& list(Core& core) {
  Listing& listing = core.listing;
  struct stat now{};
  const bool seen = ::fstat(core.dir.get(), &now) == 0;
  if (seen && listing.settled && is_as_listed(now, listing)) return listing;
  listing = Listing();
  listing.settled = seen && is_past(now.st_mtim, stamp_now());  // before the names are read
  read_names(core.dir.get(), listing);
  std::sort(listing.drains.begin(), listing.drains.end());
  listing.changed = now.st_mtim;
  listing.size = now.st_size;
  return listing;
}

const Table* Book::table_of(const Core& core, uid_t uid) const {
  if (uid == core.uid) return core.own ? &*core.own : nullptr;
  const auto found = std::find_if(others.begin(), others.end(),
                                  [&](const Table& each) { return each.uid() == uid; });
  return found == others.end() ? nullptr : &*found;
}

// Some at once: a system call is worth as much as all else of a nonce.
std::string new_nonce(Core& core) {
  constexpr std::size_t kDigits = 32;
  if (core.nonces.empty()) core.nonces = random_digits(8 * kDigits / 2);
  const std::string nonce = core.nonces.substr(0, kDigits);
  core.nonces.erase(0, kDigits);
  return nonce;
}

Result<void> open_own_table(Core& core) {
  if (!core.own) {
    Result<Table> table = Table::open_own(core.dir.get(), core.uid, core.here.boot_id);
    if (!table) return fail(table.error());
    core.own.emplace(std::move(*table));
  }
  return core.own->read();
}

Result<Critical> enter_and_read(Core& core) {
  Result<Critical> critical = Critical::enter(core);
  if (!critical) return critical;
  Result<void> read = open_own_table(core);
  if (!read && read.error().code == ErrorCode::malformed) {
    mend(core);
    if (core.own) read = core.own->read();
  }
  if (!read) return fail(read.error());
  return critical;
}

Book read_book(Core& core) {
  Book book;
  if (core.own) {
    for (const Slot& slot : core.own->slots()) book.records.push_back(load(*core.own, slot));
  }
  const Listing& listing = list(core);
  for (const uid_t uid : listing.tables) {
    if (uid != core.uid || !core.own) read_other(core, book, uid);
  }
  book.drains = read_drains(core, listing.drains, book.problems);
  return book;
}

std::vector<std::string> live_leases(const Core& core) {
  std::vector<std::string> ids;
  Result<std::optional<Table>> table =
      Table::open_other(core.dir.get(), core.uid, core.here.boot_id, true);
  if (!table || !*table || !(*table)->read()) return ids;
  for (const Slot& slot : (*table)->slots()) ids.push_back(load(**table, slot).lease.id);
  return ids;
}

bool is_locked(const Core& core, const Book& book, const Stored& stored) {
  if (stored.lease.uid == core.uid && core.our_slots.count(stored.slot) != 0) return true;
  const Table* table = book.table_of(core, stored.lease.uid);
  return table == nullptr || table->is_locked(stored.slot);
}

Result<void> set_state(Core& core, Stored& stored, EntryState state, std::string_view event,
                       std::string_view reason) {
  if (Result<void> told = core.audit.write(core.dir.get(), event, stored.lease, reason); !told)
    return told;
  stored.entry.state = state;
  stored.entry.since = realtime_usec();
  return core.own->write_entry(stored.slot, stored.entry);
}

Result<void> write_free(const Core& core, Table& table, Stored& stored) {
  if (table.is_published(stored.slot)) remove_lease_files(core, stored.lease);
  stored.entry = Entry();
  if (Result<void> written = table.write_entry(stored.slot, stored.entry); !written) return written;
  table.poke();
  return {};
}

// A log that cannot be written (a full file system) must not keep a unit from coming back.
Result<void> set_free(Core& core, Table& table, Stored& stored, std::string_view event,
                      std::string_view reason) {
  static_cast<void>(core.audit.write(core.dir.get(), event, stored.lease, reason).has_value());
  return write_free(core, table, stored);
}

std::string descriptor_path(int fd) {
  return std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(fd);
}

int watch(Core& core) {
  if (core.notify) return core.notify.get();
  Fd notify(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!notify) return -1;
  const std::string place = descriptor_path(core.dir.get());
  constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_DELETE;
  if (::inotify_add_watch(notify.get(), place.c_str(), kEvents) < 0) return -1;
  core.notify = std::move(notify);
  return core.notify.get();
}

void drain_events(int fd) {
  alignas(inotify_event) char buffer[4096];
  while (fd >= 0 && ::read(fd, buffer, sizeof buffer) > 0) continue;
}

}  // namespace gpuctl::lease::internal
