#include "gpuctl/base/clock.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace gpuctl {
namespace {

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

}  // namespace

Usec monotonic_usec() { return read_clock(CLOCK_MONOTONIC); }

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
