#include "audit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/record.hpp"
#include "steps.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr off_t kMaxBytes = off_t{1} << 20;
constexpr std::size_t kMaxKeptBytes = static_cast<std::size_t>(kMaxBytes) / 2;
constexpr std::size_t kMaxReadBytes = std::size_t{8} << 20;
constexpr std::size_t kUsualBytes = 320;  // of a line
constexpr std::string_view kPrefix = "audit.";
constexpr const char* kStampKey = "\"boot_usec\": ";
constexpr std::string_view kLeaseKey = "\"lease\": \"";
constexpr std::string_view kAside = ".1";
constexpr std::string_view kNext = ".new";

std::string name_for(uid_t uid, std::string_view suffix = "") {
  return (std::string(kPrefix) + std::to_string(uid) + ".jsonl").append(suffix);
}

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

void add_text(std::string& line, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '"' && c != '\\';
  });
  if (plain) {
    (line += '"').append(text) += '"';
  } else {
    line += to_line(Json(std::string(text)));
    if (line.back() == '\n') line.pop_back();
  }
}

void add_member(std::string& line, std::string_view key, std::string_view text) {
  (line += ", \"").append(key) += "\": ";
  add_text(line, text);
}

// {"at": "…", "boot_usec": …, "event": "
void begin_line(std::string& line) {
  (line += "{\"at\": \"") += format_rfc3339(realtime_usec());
  ((line += "\", ") += kStampKey) += std::to_string(boottime_usec());
  line += ", \"event\": \"";
}

// What stands behind the event: by whom.
void add_author(std::string& line, uid_t uid, pid_t pid) {
  (line += "\", \"uid\": ") += std::to_string(uid);
  (line += ", \"pid\": ") += std::to_string(pid);
}

// And about what, to the end.
void add_lease(std::string& line, const Lease& lease, std::string_view reason) {
  add_member(line, "lease", lease.id);
  if (lease.job) add_member(line, "job", lease.job->id);
  line += ", \"units\": [";
  for (std::size_t i = 0; i < lease.units.size(); ++i) {
    if (i > 0) line += ", ";
    add_text(line, lease.units[i].id);
  }
  line += "]";
  add_member(line, "reason", reason);
  line += "}\n";
}

// 0 for what has none: the lines of an earlier boot come as they lie.
std::uint64_t stamp_of(const std::string& line) {
  const std::size_t at = line.find(kStampKey);
  if (at == std::string::npos) return 0;
  const std::string_view rest =
      std::string_view(line).substr(at + std::string_view(kStampKey).size());
  return parse_unsigned(rest.substr(0, rest.find(',')), "stamp").value_or(0U);
}

// Empty where it tells of no lease.
std::string_view lease_of(std::string_view line) {
  const std::size_t at = line.find(kLeaseKey);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + kLeaseKey.size());
  return rest.substr(0, rest.find('"'));
}

bool is_plain_of(const struct stat& status, uid_t owner) {
  return status.st_nlink == 1 && S_ISREG(status.st_mode) && status.st_uid == owner;
}

std::string read_text(int ledger_fd, const std::string& name) {
  const Result<Fd> fd = open_at(ledger_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat status{};
  if (!fd || ::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return read_all(fd->get(), kMaxReadBytes, name).value_or(std::string());
}

// Whole ones.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::string_view line = take_until(text, '\n');
    if (!line.empty() && line.back() == '}') lines.push_back(line);
  }
  return lines;
}

void read_lines(int ledger_fd, const std::string& name, std::vector<std::string>& lines) {
  const std::string text = read_text(ledger_fd, name);
  for (const std::string_view line : lines_of(text)) lines.emplace_back(line);
}

}  // namespace

Audit::Audit(uid_t uid, pid_t pid, LiveLeases live)
    : uid_(uid), owner_(::geteuid()), pid_(pid), live_(std::move(live)) {}

Result<void> Audit::reopen(int ledger_fd) {
  const std::string name = name_for(uid_);
  const std::string next = name_for(uid_, kNext);
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  Result<Fd> fd = open_at(ledger_fd, name, kFlags);
  if (!fd && fd.error().code == ErrorCode::not_found) {
    // Who put the file aside died before the new one had its name.
    struct stat status{};
    const bool ready = ::fstatat(ledger_fd, next.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
                       is_plain_of(status, owner_) &&
                       ::renameat(ledger_fd, next.c_str(), ledger_fd, name.c_str()) == 0;
    fd = open_at(ledger_fd, name, ready ? kFlags : kFlags | O_CREAT | O_EXCL, 0644);
    if (fd) static_cast<void>(::fchmod(fd->get(), 0644) == 0);  // others may not read it then
  }
  if (!fd) return fail(std::move(fd).error());
  fd_ = std::move(*fd);
  return {};
}

Result<void> Audit::open_current(int ledger_fd) {
  struct stat status{};
  const auto current = [&] {
    return fd_ && ::fstat(fd_.get(), &status) == 0 && is_plain_of(status, owner_);
  };
  if (!current()) {
    fd_.reset();
    if (Result<void> opened = reopen(ledger_fd); !opened) return opened;
    if (!current())
      return fail(ErrorCode::permission, name_for(uid_), "not a plain file of this user");
  }
  size_ = status.st_size;
  return {};
}

// Another process of this user may have done so meanwhile: a file that is put aside is a full one.
bool Audit::is_put_aside(int ledger_fd) const {
  struct stat ours{};
  struct stat named{};
  return ::fstat(fd_.get(), &ours) != 0 ||
         ::fstatat(ledger_fd, name_for(uid_).c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
         ours.st_ino != named.st_ino;
}

Result<void> Audit::make_ready(int ledger_fd) {
  if (ready_ && size_ < kMaxBytes) return {};
  ready_ = false;
  if (Result<void> opened = open_current(ledger_fd); !opened) return opened;
  if (size_ >= kMaxBytes && is_put_aside(ledger_fd)) {
    fd_.reset();
    if (Result<void> opened = open_current(ledger_fd); !opened) return opened;
  }
  if (size_ >= kMaxBytes) {
    if (Result<void> done = put_aside(ledger_fd); !done) return done;
  }
  ready_ = true;
  return {};
}

// Of the file that is about to be forgotten; the newest, should they be too many.
std::string Audit::lines_to_keep(int ledger_fd) const {
  const std::vector<std::string> live = live_ ? live_() : std::vector<std::string>();
  if (live.empty()) return {};
  const std::string before = read_text(ledger_fd, name_for(uid_, kAside));
  std::vector<std::string_view> kept;
  for (const std::string_view line : lines_of(before)) {
    if (std::find(live.begin(), live.end(), lease_of(line)) != live.end()) kept.push_back(line);
  }
  std::size_t bytes = 0;
  auto first = kept.rbegin();
  while (first != kept.rend() && bytes + first->size() < kMaxKeptBytes)
    bytes += (first++)->size() + 1;
  std::string text;
  for (auto line = first.base(); line != kept.end(); ++line) (text += *line) += '\n';
  return text;
}

// A full file system must not stop the ledger: the file then grows on.
Result<void> Audit::put_aside(int ledger_fd) {
  const std::string name = name_for(uid_);
  const std::string next = name_for(uid_, kNext);
  const std::string aside = name_for(uid_, kAside);
  if (!replace_file(ledger_fd, next, lines_to_keep(ledger_fd), 0644)) return {};
  step("audit next");
  if (::renameat(ledger_fd, name.c_str(), ledger_fd, aside.c_str()) != 0) return {};
  step("audit aside");
  fd_.reset();
  if (::renameat(ledger_fd, next.c_str(), ledger_fd, name.c_str()) == 0) step("audit anew");
  return open_current(ledger_fd);
}

Result<void> Audit::append(int ledger_fd, const std::string& line) {
  if (Result<void> ready = make_ready(ledger_fd); !ready) return ready;
  step("audit");
  const auto written =
      retry_on_interrupt([&] { return ::write(fd_.get(), line.data(), line.size()); });
  if (written == static_cast<ssize_t>(line.size())) {
    size_ += written;
    return {};
  }
  ready_ = false;
  const int reason = written < 0 ? errno : ENOSPC;
  // Half a line would spoil the next one too.
  if (written > 0) static_cast<void>(::ftruncate(fd_.get(), size_) == 0);
  return fail_errno(reason, name_for(uid_), "cannot write the audit log");
}

Result<void> Audit::write(int ledger_fd, std::string_view event, const Lease& lease,
                          std::string_view reason) {
  std::string line;
  line.reserve(kUsualBytes);
  begin_line(line);
  line += event;
  add_author(line, uid_, pid_);
  add_lease(line, lease, reason);
  return append(ledger_fd, line);
}

// Two lines that differ in one word.
Result<void> Audit::write_release(int ledger_fd, const Lease& lease, std::string_view reason) {
  std::string lines;
  lines.reserve(2 * kUsualBytes);
  begin_line(lines);
  const std::size_t event = lines.size();
  lines += "releasing";
  const std::size_t author = lines.size();
  add_author(lines, uid_, pid_);
  add_lease(lines, lease, reason);
  const std::size_t end = lines.size();
  lines.append(lines, 0, event) += "released";
  lines.append(lines, author, end - author);
  return append(ledger_fd, lines);
}

Result<void> Audit::write_about(int ledger_fd, std::string_view event, const std::string& unit_id,
                                std::string_view reason) {
  std::string line;
  begin_line(line);
  line += event;
  add_author(line, uid_, pid_);
  line += ", \"units\": [";
  add_text(line, unit_id);
  line += "]";
  add_member(line, "reason", reason);
  return append(ledger_fd, line += "}\n");
}

std::vector<std::string> read_audit(int ledger_fd) {
  std::vector<std::string> lines;
  Result<Fd> again = open_at(ledger_fd, ".", O_RDONLY | O_DIRECTORY);
  if (!again) return lines;
  const std::vector<std::string> names =
      Dir(std::move(*again), "ledger").names().value_or(std::vector<std::string>());
  const auto has = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const std::string& name : names) {
    const std::string_view text = name;
    const std::string_view base =
        ends_with(text, kNext) ? text.substr(0, text.size() - kNext.size()) : text;
    const bool is_audit = text.substr(0, kPrefix.size()) == kPrefix;
    if (is_audit && (base == text || !has(base))) read_lines(ledger_fd, name, lines);
  }
  std::stable_sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    return stamp_of(a) < stamp_of(b);
  });
  return lines;
}

}  // namespace gpuctl::lease::internal
