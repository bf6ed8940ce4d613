// Table: the leases of one user in one file, STATE/ledger/table.UID, changed in place.
//
//   0          header, 128 bytes of text: "gpuctl ledger 1 uid=1000 boot=… sum=…"
//   128        254 entries of 64 bytes: state, body size, ticket, times, checksum. This layout never changes.
//   16384+16K*i  slot i: its body (a Record of at most 12 KiB), and at 12 KiB its payload (a Record of at most 4 KiB)
//
// An entry never crosses a page, so that a SIGKILL in the middle of its pwrite(2) leaves the old or the new one; the body is
// written before the entry says that there is one. A slot's pages are allocated when it is first used, so that a full file
// system can refuse a reservation and never a release. Slots are used again: the file grows with the leases that live at
// once, not with those that were.
//
// An entry of a newer version is left alone: its units are read as far as they can be and stay taken.
// Everything is done under the ledger's lock; a Table belongs to one thread.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/lease/lease.hpp"

namespace gpuctl::lease::internal {

inline constexpr unsigned kRecordVersion = 1;
inline constexpr std::size_t kMaxSlots = 254;
inline constexpr std::size_t kMaxBodyBytes = 12288;
inline constexpr std::size_t kMaxPayloadBytes = 4096;

enum class EntryState : std::uint8_t {
  free = 0,
  waiting = 1,
  prepared = 2,
  held = 3,
  releasing = 4
};

// As it lies in the file, in the machine's byte order: the file never leaves its boot.
struct Entry {
  EntryState state = EntryState::free;
  std::uint8_t way = 0;
  std::uint16_t version = kRecordVersion;
  std::uint32_t body_bytes = 0;
  std::uint32_t payload_bytes = 0;
  std::uint32_t published = 0;  // 1: there may be files of it in STATE/leases
  std::uint64_t ticket = 0;
  std::uint64_t nonce_head = 0;
  std::int64_t since = 0;         // real time
  std::int64_t expires_boot = 0;  // CLOCK_BOOTTIME; 0: never
  std::uint64_t spare = 0;
  std::uint64_t sum = 0;
};
static_assert(sizeof(Entry) == 64);

// One slot in use.
struct Slot {
  std::size_t index = 0;
  Entry entry;
  bool damaged = false;  // its entry's checksum is wrong: what it held is not known
};

class Table {
 public:
  // Our own, made when it is missing. What another boot left in it is forgotten.
  static Result<Table> open_own(int ledger_fd, uid_t uid, const std::string& boot_id);

  // Another user's, for reading; `any_owner`: in a user namespace, where owners are not seen. `writable`: for root. nullopt when it is of another boot or empty. ErrorCode::permission for a file that is not
  // that user's, malformed for one that is none.
  static Result<std::optional<Table>> open_other(int ledger_fd, uid_t uid,
                                                 const std::string& boot_id, bool any_owner,
                                                 bool writable = false);

  // Our own with a damaged header, which is written anew; entries and locks stay where they are.
  static Result<Table> adopt(int ledger_fd, uid_t uid, const std::string& boot_id);

  uid_t uid() const { return uid_; }
  int fd() const { return fd_.get(); }

  // Reads the index anew. Slots in use, ascending.
  Result<void> read();
  const std::vector<Slot>& slots() const { return slots_; }

  // The text of its body, up to its end, and of its payload.
  Result<std::string> body(const Slot& slot) const;
  Result<std::string> payload(const Slot& slot) const;

  // A free slot with its pages. ErrorCode::unavailable when there is none, io when the file system is full.
  Result<std::size_t> allocate();

  // The pages of a slot that a damaged file has lost; entries before it that were lost are free ones then.
  Result<void> make_room(std::size_t index);

  Result<void> write_body(std::size_t index, const std::string& text);
  Result<void> write_payload(std::size_t index, const std::string& text);
  // Keeps that there may be files of the lease, whoever published them, until its slot is free.
  Result<void> write_entry(std::size_t index, Entry entry);
  bool is_published(std::size_t index) const;

  // A lock on one byte for each slot (F_OFD_SETLK, fcntl(2)) is the life of its holder: it ends with the holder, or with the
  // last child that inherited the descriptor, is seen from every pid namespace, and its end closes a file that was open for
  // writing, which inotify(7) tells. ErrorCode::busy when somebody else has it.
  Result<void> lock_slot(std::size_t index);
  void unlock_slot(std::size_t index);
  bool is_locked(std::size_t index) const;  // by another open file than this one

  // Tells those who watch the directory (IN_ATTRIB) that something was given back.
  void poke() const;

 private:
  Table(Fd fd, uid_t uid, std::string path, std::size_t allocated)
      : fd_(std::move(fd)), uid_(uid), path_(std::move(path)), allocated_(allocated) {}

  static Result<Fd> open_file(int ledger_fd, uid_t uid, bool make, bool writable);
  const Slot* find(std::size_t index) const;
  Result<std::size_t> allocated_slots() const;
  Result<bool> is_of_boot(const std::string& boot_id) const;
  Result<void> initialise(const std::string& boot_id);
  Result<void> write_header(const std::string& boot_id);

  Fd fd_;
  uid_t uid_;
  std::string path_;
  std::vector<Slot> slots_;
  std::size_t allocated_ = 0;  // slots that the file has room for
};

std::string table_name(uid_t uid);
std::optional<uid_t> table_owner(const std::string& name);  // of a file's name

}  // namespace gpuctl::lease::internal
