// Core: what a Ledger and the Held leases that came of it share: the directory, our table, our log, who we are.
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "audit.hpp"
#include "gpuctl/base/fork_mark.hpp"
#include "gpuctl/lease/ledger.hpp"
#include "reach.hpp"
#include "table.hpp"
#include "table_record.hpp"
#include "unit_lock.hpp"

namespace gpuctl::lease {

namespace internal {

// Whose files lie in the ledger's directory. Kept until the directory changes; its time of change is only as fine as the
// kernel's tick, so a listing counts again only if the tick of the last change was over when it was made.
struct Listing {
  std::vector<uid_t> tables;
  std::vector<uid_t> drains;  // ascending
  timespec changed{};
  off_t size = 0;
  bool settled = false;
};

}  // namespace internal

struct Ledger::Impl {
  Impl(const Place& given, HostFs live_fs) : place(given), live(std::move(live_fs)), audit(0, 0) {}

  Place place;
  HostFs live;  // processes are only ever those of this machine
  std::string path;
  Fd state;
  Fd dir;
  bool drains_are_of_a_group = false;
  uid_t state_owner = 0;
  uid_t uid = 0;  // as the node knows it
  bool in_user_namespace = false;
  ForkMark process;    // a forked child must not touch what its parent holds
  std::string nonces;  // not used yet
  proc::Here here;
  proc::Identity self;
  internal::Reach reach;
  internal::Audit audit;
  internal::Listing listing;
  std::optional<internal::Table> own;
  std::set<std::size_t> our_slots;  // locked by this very object, which the kernel does not show us
  Fd notify;
};

namespace internal {

using Core = Ledger::Impl;

// The ledger's critical section. It is short, so waiting for it is: after ten seconds somebody was stopped in it.
class Critical {
 public:
  static Result<Critical> enter(Core& core, bool exclusive = true);
  Critical(Critical&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Critical& operator=(Critical&&) = delete;
  ~Critical() { leave(); }
  void leave();

 private:
  explicit Critical(int fd) : fd_(fd) {}
  int fd_;
};

// Everything on record, read under the lock.
struct Book {
  std::vector<Stored> records;
  std::vector<Table> others;  // whose records stand in `records`
  std::vector<Error> problems;
  std::vector<Drain> drains;  // in force

  const Table* table_of(const Core& core, uid_t uid) const;
};

// 128 random bits, hexadecimal; empty where the kernel gives none.
std::string new_nonce(Core& core);

// Opens and reads our table. ErrorCode::malformed where it is damaged: see mend().
Result<void> open_own_table(Core& core);

// The critical section with our table read, and mended where that was needed.
Result<Critical> enter_and_read(Core& core);
Book read_book(Core& core);

// The ids of our leases that are on record now.
std::vector<std::string> live_leases(const Core& core);

// The holder's slot is locked, by us or by anybody.
bool is_locked(const Core& core, const Book& book, const Stored& stored);

// ---- changes of one record of ours; each is told to the audit log before it is done ----
Result<void> write_free(const Core& core, Table& table, Stored& stored);  // told already
Result<void> set_state(Core& core, Stored& stored, EntryState state, std::string_view event,
                       std::string_view reason);
Result<void> set_free(Core& core, Table& table, Stored& stored, std::string_view event,
                      std::string_view reason);

// The cheap part of putting right, at each operation: what a dead writer left half done, and who waits no more.
void tidy(Core& core, Book& book);

// The dear part, when units are short or somebody asks: dead holders, expired ones. Records of others that are proven over
// are taken out of the book and left as they are. Words for each.
std::vector<std::string> settle(Core& core, Book& book);

// Damaged and outdated records of ours. Words for each.
std::vector<std::string> mend(Core& core);

// As it is now. Under the ledger's lock, since the directory's descriptor has one position.
const Listing& list(Core& core);

// `users`: whose files of drains there are.
std::vector<Drain> read_drains(const Core& core, const std::vector<uid_t>& users,
                               std::vector<Error>& problems);
const Drain* find_drain(const std::vector<Drain>& drains, const Unit& unit);

// The path by which an open directory can be named.
std::string descriptor_path(int fd);

// Readable when something is given back or drained; -1 where the kernel has no room for another watch.
int watch(Core& core);
void drain_events(int fd);

}  // namespace internal
}  // namespace gpuctl::lease
