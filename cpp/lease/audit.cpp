#include "audit.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <ctime>

#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "steps.hpp"

namespace gpuctl::lease::internal {
namespace {

constexpr off_t kMaxBytes = off_t{1} << 20;
constexpr std::size_t kMaxReadBytes = std::size_t{8} << 20;
constexpr std::size_t kUsualBytes = 320;  // of a line
constexpr std::string_view kPrefix = "audit.";
constexpr const char* kStampKey = "\"boot_usec\": ";

std::string name_for(uid_t uid) { return std::string(kPrefix) + std::to_string(uid) + ".jsonl"; }

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

void begin_line(std::string& line, std::string_view event, uid_t uid) {
  (line += "{\"at\": \"").append(format_rfc3339(realtime_usec())) += "\", ";
  (line += kStampKey) += std::to_string(boottime_usec());
  add_member(line, "event", event);
  (line += ", \"uid\": ") += std::to_string(uid);
  (line += ", \"pid\": ") += std::to_string(::getpid());
}

void add_line(std::string& lines, std::string_view event, uid_t uid, const Lease& lease,
              std::string_view reason) {
  begin_line(lines, event, uid);
  add_member(lines, "lease", lease.id);
  if (lease.job) add_member(lines, "job", lease.job->id);
  lines += ", \"units\": [";
  for (std::size_t i = 0; i < lease.units.size(); ++i) {
    if (i > 0) lines += ", ";
    add_text(lines, lease.units[i].id);
  }
  lines += "]";
  add_member(lines, "reason", reason);
  lines += "}\n";
}

// 0 for what has none: the lines of an earlier boot come as they lie.
std::uint64_t stamp_of(const std::string& line) {
  const std::size_t at = line.find(kStampKey);
  if (at == std::string::npos) return 0;
  const std::string_view rest =
      std::string_view(line).substr(at + std::string_view(kStampKey).size());
  return parse_unsigned(rest.substr(0, rest.find(',')), "stamp").value_or(0U);
}

void read_lines(int ledger_fd, const std::string& name, std::vector<std::string>& lines) {
  const Result<Fd> fd = open_at(ledger_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat status{};
  if (!fd || ::fstat(fd->get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  const Result<std::string> text = read_all(fd->get(), kMaxReadBytes, name);
  if (!text) return;
  for (const std::string_view line : split(*text, '\n')) {
    if (!line.empty() && line.back() == '}') lines.emplace_back(line);
  }
}

}  // namespace

Usec boottime_usec() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<Usec>(now.tv_sec) * kUsecPerSec + now.tv_nsec / 1000;
}

Result<void> Audit::reopen(int ledger_fd) {
  const std::string name = name_for(uid_);
  constexpr int kFlags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK;
  Result<Fd> fd = open_at(ledger_fd, name, kFlags);
  if (!fd && fd.error().code == ErrorCode::not_found) {
    fd = open_at(ledger_fd, name, kFlags | O_CREAT | O_EXCL, 0644);
    if (fd) static_cast<void>(::fchmod(fd->get(), 0644) == 0);  // others may not read it then
  }
  if (!fd) return fail(std::move(fd).error());
  fd_ = std::move(*fd);
  return {};
}

// Another process of this user may have put the file aside meanwhile.
Result<void> Audit::make_ready(int ledger_fd) {
  if (ready_ && size_ < kMaxBytes) return {};
  ready_ = false;
  struct stat status{};
  const auto current = [&] {
    return fd_ && ::fstat(fd_.get(), &status) == 0 && status.st_nlink == 1 &&
           S_ISREG(status.st_mode) && status.st_uid == ::geteuid();
  };
  if (!current()) {
    fd_.reset();
    if (Result<void> opened = reopen(ledger_fd); !opened) return opened;
    if (!current())
      return fail(ErrorCode::permission, name_for(uid_), "not a plain file of this user");
  }
  size_ = status.st_size;
  ready_ = size_ < kMaxBytes;
  if (ready_) return {};
  const std::string name = name_for(uid_);
  const std::string aside = name + ".1";
  if (::renameat(ledger_fd, name.c_str(), ledger_fd, aside.c_str()) != 0) return {};
  size_ = 0;
  return reopen(ledger_fd);
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
  add_line(line, event, uid_, lease, reason);
  return append(ledger_fd, line);
}

Result<void> Audit::write_release(int ledger_fd, const Lease& lease, std::string_view reason) {
  std::string lines;
  lines.reserve(2 * kUsualBytes);
  add_line(lines, "releasing", uid_, lease, reason);
  add_line(lines, "released", uid_, lease, reason);
  return append(ledger_fd, lines);
}

Result<void> Audit::write_about(int ledger_fd, std::string_view event, const std::string& unit_id,
                                std::string_view reason) {
  std::string line;
  begin_line(line, event, uid_);
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
  for (const bool aside : {true, false}) {
    for (const std::string& name : names) {
      const bool is_audit = name.compare(0, kPrefix.size(), kPrefix) == 0;
      if (is_audit && (name.size() > 2 && name.compare(name.size() - 2, 2, ".1") == 0) == aside)
        read_lines(ledger_fd, name, lines);
    }
  }
  std::stable_sort(lines.begin(), lines.end(), [](const std::string& a, const std::string& b) {
    return stamp_of(a) < stamp_of(b);
  });
  return lines;
}

}  // namespace gpuctl::lease::internal
