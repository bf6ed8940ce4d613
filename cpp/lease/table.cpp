#include "table.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "gpuctl/base/parse.hpp"
#include "steps.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr std::size_t kHeaderBytes = 128;
constexpr std::size_t kIndexBytes = 16384;
constexpr std::size_t kSlotBytes = 16384;
constexpr std::size_t kPayloadAt = kMaxBodyBytes;
constexpr std::size_t kBodyMargin = 512;
constexpr std::string_view kPrefix = "table.";
static_assert(kHeaderBytes + kMaxSlots * sizeof(Entry) <= kIndexBytes);
static_assert(kMaxBodyBytes + kMaxPayloadBytes == kSlotBytes);

// FNV-1a, 64 bit: finds torn and edited entries; against a forger there is only the file's owner.
std::uint64_t fnv(const void* data, std::size_t size) {
  std::uint64_t hash = 0xcbf29ce484222325;
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
  return hash;
}

std::uint64_t sum_of(const Entry& entry) { return fnv(&entry, offsetof(Entry, sum)); }

off_t entry_at(std::size_t index) {
  return static_cast<off_t>(kHeaderBytes + index * sizeof(Entry));
}
off_t slot_at(std::size_t index) { return static_cast<off_t>(kIndexBytes + index * kSlotBytes); }

std::string header_text(uid_t uid, const std::string& boot_id) {
  std::string text = "gpuctl ledger 1 uid=" + std::to_string(uid) + " boot=" + boot_id;
  std::array<char, 24> sum{};
  std::snprintf(sum.data(), sum.size(), " sum=%016llx\n",
                static_cast<unsigned long long>(fnv(text.data(), text.size())));
  text += sum.data();
  text.resize(kHeaderBytes, '\0');
  return text;
}

// Beyond all data, so that nobody takes it for a lock on that.
struct flock slot_lock(int type, std::size_t index) {
  struct flock lock{};
  lock.l_type = static_cast<short>(type);
  lock.l_whence = SEEK_SET;
  lock.l_start = (off_t{1} << 40) + static_cast<off_t>(index);
  lock.l_len = 1;
  return lock;
}

bool is_blank(const Entry& entry) {
  static const Entry blank = [] {
    Entry zero;
    std::memset(static_cast<void*>(&zero), 0, sizeof zero);
    return zero;
  }();
  return std::memcmp(&entry, &blank, sizeof blank) == 0;
}

Result<void> write_at(int fd, const void* data, std::size_t size, off_t at,
                      const std::string& path) {
  const auto written = retry_on_interrupt([&] { return ::pwrite(fd, data, size, at); });
  if (written == static_cast<ssize_t>(size)) return {};
  return fail_errno(written < 0 ? errno : EIO, path, "cannot write the record");
}

Result<std::string> read_at(int fd, std::size_t size, off_t at, const std::string& path) {
  std::string text(size, '\0');
  const auto got = retry_on_interrupt([&] { return ::pread(fd, text.data(), size, at); });
  if (got < 0) return fail_errno(errno, path, "cannot read the records");
  text.resize(static_cast<std::size_t>(got));
  return text;
}

// One that is not there to its end counts: a body ends long before it.
std::size_t slots_in(off_t file_bytes) {
  const auto size = static_cast<std::size_t>(file_bytes);
  if (size <= kIndexBytes) return 0;
  return std::min((size - kIndexBytes + kSlotBytes - 1) / kSlotBytes, kMaxSlots);
}

// Others could make a table of ours a link to something else, or another link to something of ours.
// How many slots it has room for.
Result<std::size_t> require_plain(int fd, uid_t uid, const std::string& path,
                                  bool any_owner = false) {
  struct stat status{};
  if (::fstat(fd, &status) != 0) return fail_errno(errno, path, "cannot stat");
  if (S_ISREG(status.st_mode) && (any_owner || status.st_uid == uid) && status.st_nlink <= 1 &&
      (status.st_mode & 0022) == 0)
    return slots_in(status.st_size);
  return fail(ErrorCode::permission, path,
              "not a plain file that only the user of its name can write: it is not believed");
}

}  // namespace

std::string table_name(uid_t uid) { return std::string(kPrefix) + std::to_string(uid); }

std::optional<uid_t> table_owner(const std::string& name) {
  if (name.compare(0, kPrefix.size(), kPrefix) != 0) return std::nullopt;
  const Result<std::uint64_t> uid =
      parse_unsigned(std::string_view(name).substr(kPrefix.size()), "uid", 10, 0xfffffffe);
  if (!uid || table_name(static_cast<uid_t>(*uid)) != name) return std::nullopt;
  return static_cast<uid_t>(*uid);
}

// Opened first and made with O_EXCL afterwards: with fs.protected_regular an O_CREAT of a file that is there already is
// refused in a sticky directory.
Result<Fd> Table::open_file(int ledger_fd, uid_t uid, bool make, bool writable) {
  const std::string name = table_name(uid);
  const int flags = (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK;
  Result<Fd> fd = open_at(ledger_fd, name, flags);
  if (!make || fd || fd.error().code != ErrorCode::not_found) return fd;
  step("make table");
  fd = open_at(ledger_fd, name, flags | O_CREAT | O_EXCL, 0644);
  // Whatever the umask is: others read it, that is its purpose.
  if (fd && ::fchmod(fd->get(), 0644) != 0) return fail_errno(errno, name, "cannot set the mode");
  return fd;
}

Result<Table> Table::open_own(int ledger_fd, uid_t uid, const std::string& boot_id) {
  Result<Fd> fd = open_file(ledger_fd, uid, true, true);
  if (!fd) return fail(std::move(fd).error());
  // In a user namespace our own uid is not the one that the file is named by.
  const Result<std::size_t> slots = require_plain(fd->get(), ::geteuid(), table_name(uid));
  if (!slots) return fail(slots.error());
  Table table(std::move(*fd), uid, table_name(uid), *slots);
  const Result<bool> current = table.is_of_boot(boot_id);
  if (!current) return fail(current.error());
  if (!*current) {
    if (Result<void> made = table.initialise(boot_id); !made) return fail(made.error());
  }
  return table;
}

Result<std::optional<Table>> Table::open_other(int ledger_fd, uid_t uid, const std::string& boot_id,
                                               bool any_owner, bool writable) {
  Result<Fd> fd = open_file(ledger_fd, uid, false, writable);
  if (!fd) return fail(std::move(fd).error());
  const Result<std::size_t> slots = require_plain(fd->get(), uid, table_name(uid), any_owner);
  if (!slots) return fail(slots.error());
  Table table(std::move(*fd), uid, table_name(uid), *slots);
  const Result<bool> current = table.is_of_boot(boot_id);
  if (!current) return fail(current.error());
  if (!*current) return std::optional<Table>();
  return std::optional<Table>(std::move(table));
}

// False for a file that was never filled, and for one of another boot, which means nothing any more.
Result<bool> Table::is_of_boot(const std::string& boot_id) const {
  const Result<std::string> header = read_at(fd_.get(), kHeaderBytes, 0, path_);
  if (!header) return fail(header.error());
  if (*header == header_text(uid_, boot_id)) return true;
  const bool blank = std::all_of(header->begin(), header->end(), [](char c) { return c == '\0'; });
  if (blank) return false;
  const std::size_t at = header->find(" boot=");
  const std::string before = at == std::string::npos ? "" : header->substr(at + 6, boot_id.size());
  if (!before.empty() && *header == header_text(uid_, before)) return false;
  return fail(ErrorCode::malformed, path_, "its header is damaged");
}

Result<void> Table::initialise(const std::string& boot_id) {
  step("initialise table");
  if (::ftruncate(fd_.get(), 0) != 0) return fail_errno(errno, path_, "cannot empty the table");
  if (const int failed = ::posix_fallocate(fd_.get(), 0, kIndexBytes); failed != 0)
    return fail_errno(failed, path_, "no room for the table");
  allocated_ = 0;
  return write_header(boot_id);
}

Result<void> Table::write_header(const std::string& boot_id) {
  const std::string text = header_text(uid_, boot_id);
  step("write header");
  return write_at(fd_.get(), text.data(), text.size(), 0, path_);
}

Result<Table> Table::adopt(int ledger_fd, uid_t uid, const std::string& boot_id) {
  Result<Fd> fd = open_file(ledger_fd, uid, true, true);
  if (!fd) return fail(std::move(fd).error());
  const Result<std::size_t> slots = require_plain(fd->get(), ::geteuid(), table_name(uid));
  if (!slots) return fail(slots.error());
  Table table(std::move(*fd), uid, table_name(uid), *slots);
  if (const int failed = ::posix_fallocate(table.fd(), 0, kIndexBytes); failed != 0)
    return fail_errno(failed, table.path_, "no room for the table");
  if (Result<void> written = table.write_header(boot_id); !written) return fail(written.error());
  return table;
}

Result<std::size_t> Table::allocated_slots() const {
  struct stat status{};
  if (::fstat(fd_.get(), &status) != 0) return fail_errno(errno, path_, "cannot stat");
  return slots_in(status.st_size);
}

// Slots are first used in their order, and an entry that was used is never blank again (make_room() sees to it where a file
// was damaged): a blank one behind those that we know of says that the file has not grown.
Result<void> Table::read() {
  std::array<char, kMaxSlots * sizeof(Entry)> raw;  // only what is read is filled
  const auto entry_in = [&raw](std::size_t index) {
    Entry entry;
    std::memcpy(static_cast<void*>(&entry), raw.data() + index * sizeof entry, sizeof entry);
    return entry;
  };
  slots_.clear();
  std::size_t known = 0;
  for (bool again = true; again;) {
    const std::size_t wanted = std::min(allocated_ + 1, kMaxSlots);
    const auto got = retry_on_interrupt([&] {
      return ::pread(fd_.get(), raw.data(), wanted * sizeof(Entry),
                     static_cast<off_t>(kHeaderBytes));
    });
    if (got < 0) return fail_errno(errno, path_, "cannot read the records");
    known = static_cast<std::size_t>(got) / sizeof(Entry);
    if (known == wanted && (wanted == allocated_ || is_blank(entry_in(allocated_)))) break;
    const Result<std::size_t> allocated = allocated_slots();
    if (!allocated) return fail(allocated.error());
    again = *allocated != allocated_;
    allocated_ = *allocated;
  }
  for (std::size_t i = 0; i < std::min(allocated_, known); ++i) {
    const Entry entry = entry_in(i);
    if (is_blank(entry)) continue;
    const bool damaged = entry.sum != sum_of(entry) || entry.state > EntryState::releasing;
    if (damaged || entry.state != EntryState::free) slots_.push_back({i, entry, damaged});
  }
  return {};
}

Result<std::string> Table::body(const Slot& slot) const {
  // A little more than the entry says: a body may have been replaced by a longer one since.
  const std::size_t size =
      slot.damaged ? kMaxBodyBytes
                   : std::min<std::size_t>(slot.entry.body_bytes + kBodyMargin, kMaxBodyBytes);
  Result<std::string> text = read_at(fd_.get(), size, slot_at(slot.index), path_);
  if (text) text->resize(std::min(text->find('\0'), text->size()));
  return text;
}

Result<std::string> Table::payload(const Slot& slot) const {
  const auto size = std::min<std::size_t>(slot.entry.payload_bytes, kMaxPayloadBytes);
  return read_at(fd_.get(), size, slot_at(slot.index) + static_cast<off_t>(kPayloadAt), path_);
}

Result<std::size_t> Table::allocate() {
  std::size_t index = 0;
  for (const Slot& slot : slots_) {
    if (slot.index != index) break;
    ++index;
  }
  if (index >= kMaxSlots) {
    return fail(ErrorCode::unavailable, path_,
                "this user has " + std::to_string(kMaxSlots) + " leases and requests already");
  }
  if (index < allocated_) return index;
  step("allocate slot");
  const int failed = ::posix_fallocate(fd_.get(), slot_at(index), kSlotBytes);
  if (failed != 0) return fail_errno(failed, path_, "no room for another lease");
  allocated_ = index + 1;
  return index;
}

Result<void> Table::make_room(std::size_t index) {
  const int failed = ::posix_fallocate(fd_.get(), slot_at(index), kSlotBytes);
  if (failed != 0) return fail_errno(failed, path_, "no room for the lease");
  for (std::size_t before = 0; before < index; ++before) {
    const Result<std::string> raw = read_at(fd_.get(), sizeof(Entry), entry_at(before), path_);
    if (!raw) return fail(raw.error());
    if (raw->find_first_not_of('\0') != std::string::npos) continue;
    if (Result<void> written = write_entry(before, Entry()); !written) return written;
  }
  return {};
}

Result<void> Table::write_body(std::size_t index, const std::string& text) {
  if (text.size() >= kMaxBodyBytes) {
    return fail(ErrorCode::unavailable, path_,
                "too many units for one lease: ask for fewer at once");
  }
  step("write body");
  // With its final NUL, so that its end is found without the entry.
  return write_at(fd_.get(), text.c_str(), text.size() + 1, slot_at(index), path_);
}

Result<void> Table::write_payload(std::size_t index, const std::string& text) {
  if (text.size() >= kMaxPayloadBytes)
    return fail(ErrorCode::unavailable, path_, "the cgroup's path is too long to be recorded");
  step("write payload");
  return write_at(fd_.get(), text.data(), text.size(),
                  slot_at(index) + static_cast<off_t>(kPayloadAt), path_);
}

const Slot* Table::find(std::size_t index) const {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const Slot& each) { return each.index == index; });
  return found == slots_.end() ? nullptr : &*found;
}

bool Table::is_published(std::size_t index) const {
  const Slot* slot = find(index);
  return slot != nullptr && (slot->damaged || slot->entry.published != 0);
}

Result<void> Table::write_entry(std::size_t index, Entry entry) {
  const bool is_lease = entry.state != EntryState::free;
  const Slot* before = is_lease ? find(index) : nullptr;
  if (before != nullptr && before->entry.nonce_head == entry.nonce_head)
    entry.published |= before->entry.published;
  entry.sum = sum_of(entry);
  step("write entry");
  return write_at(fd_.get(), &entry, sizeof entry, entry_at(index), path_);
}

Result<void> Table::lock_slot(std::size_t index) {
  struct flock lock = slot_lock(F_WRLCK, index);
  if (::fcntl(fd_.get(), F_OFD_SETLK, &lock) == 0) return {};
  if (errno == EAGAIN || errno == EACCES)
    return fail(ErrorCode::busy, path_, "somebody else keeps a lock on our record");
  return fail_errno(errno, path_, "cannot lock the record");
}

void Table::unlock_slot(std::size_t index) {
  struct flock lock = slot_lock(F_UNLCK, index);
  ::fcntl(fd_.get(), F_OFD_SETLK, &lock);
}

bool Table::is_locked(std::size_t index) const {
  struct flock lock = slot_lock(F_WRLCK, index);
  return ::fcntl(fd_.get(), F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}

void Table::poke() const { ::futimens(fd_.get(), nullptr); }

}  // namespace gpuctl::lease::internal
