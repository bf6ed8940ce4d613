#include "gpuctl/base/clock.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <ctime>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl {
namespace {

constexpr ino_t kInitialTimeNamespace = 0xeffffffa;  // PROC_TIME_INIT_INO, since Linux 5.6

Usec read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<Usec>(now.tv_sec) * kUsecPerSec + now.tv_nsec / 1000;
}

std::string format_time(const tm& time, const char* format) {
  std::array<char, 64> text{};
  return std::string(text.data(), std::strftime(text.data(), text.size(), format, &time));
}

std::string two_units(Usec big, const char* big_name, Usec small, const char* small_name) {
  std::string text = std::to_string(big) + " " + big_name;
  if (small != 0) text += " " + std::to_string(small) + " " + small_name;
  return text;
}

// "boottime       7200         0": seconds, which may be negative, and nanoseconds.
Usec ahead_of_line(std::string_view line) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(line, ' ')) {
    if (!word.empty()) words.push_back(word);
  }
  if (words.size() != 3 || words[0] != "boottime") return 0;
  const bool behind = words[1].front() == '-';
  const Result<std::uint64_t> seconds =
      parse_unsigned(words[1].substr(behind ? 1 : 0), "offset", 10, 0xffffffff);
  const Result<std::uint64_t> nanoseconds = parse_unsigned(words[2], "offset", 10, 999'999'999);
  if (!seconds || !nanoseconds) return 0;
  const auto whole = static_cast<Usec>(*seconds) * kUsecPerSec;
  return (behind ? -whole : whole) + static_cast<Usec>(*nanoseconds / 1000);
}

Usec read_boottime_ahead() {
  struct stat time_namespace{};
  if (::stat(host_paths::kLiveSelfTimeNamespace, &time_namespace) != 0 ||
      time_namespace.st_ino == kInitialTimeNamespace)
    return 0;
  constexpr std::size_t kMostBytes = 4096;
  const Result<Fd> fd = open_at(AT_FDCWD, host_paths::kLiveSelfTimeOffsets, O_RDONLY);
  const Result<std::string> text =
      fd ? read_all(fd->get(), kMostBytes, host_paths::kLiveSelfTimeOffsets) : fail(fd.error());
  if (!text) return 0;
  for (const std::string_view line : split(*text, '\n')) {
    if (const Usec ahead = ahead_of_line(line); ahead != 0) return ahead;
  }
  return 0;
}

}  // namespace

Usec monotonic_usec() { return read_clock(CLOCK_MONOTONIC); }

Usec boottime_ahead_usec() {
  static const Usec ahead = read_boottime_ahead();
  return ahead;
}

Usec boottime_usec() { return read_clock(CLOCK_BOOTTIME) - boottime_ahead_usec(); }

Usec realtime_usec() { return read_clock(CLOCK_REALTIME); }

// Digit by digit: strftime(3) and snprintf(3) were a tenth of a reservation.
std::string format_rfc3339(Usec realtime) {
  const time_t seconds = realtime / kUsecPerSec;
  tm time{};
  ::gmtime_r(&seconds, &time);
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&](std::size_t last, Usec value) {
    for (; value != 0; value /= 10) text[last--] = static_cast<char>('0' + value % 10);
  };
  put(3, (1900 + time.tm_year) % 10000);
  put(6, time.tm_mon + 1);
  put(9, time.tm_mday);
  put(12, time.tm_hour);
  put(15, time.tm_min);
  put(18, time.tm_sec);
  put(22, realtime % kUsecPerSec / 1000);
  return text;
}

std::string format_trace_stamp(Usec realtime) {
  const time_t seconds = realtime / kUsecPerSec;
  tm time{};
  ::localtime_r(&seconds, &time);
  return format_time(time, "%b %d %H:%M:%S");
}

std::string format_duration(Usec duration) {
  if (duration < kUsecPerSec) return std::to_string(duration / 1000) + " ms";
  if (duration < 60 * kUsecPerSec) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(duration) / 1e6);
    return text.data();
  }
  const Usec seconds = duration / kUsecPerSec;
  if (seconds < 3600) return two_units(seconds / 60, "min", seconds % 60, "s");
  return two_units(seconds / 3600, "h", seconds % 3600 / 60, "min");
}

}  // namespace gpuctl
