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

std::string format_rfc3339(Usec realtime) {
  const time_t seconds = realtime / kUsecPerSec;
  tm time{};
  ::gmtime_r(&seconds, &time);
  std::array<char, 16> milliseconds{};
  std::snprintf(milliseconds.data(), milliseconds.size(), ".%03dZ",
                static_cast<int>(realtime % kUsecPerSec / 1000));
  return format_time(time, "%Y-%m-%dT%H:%M:%S") + milliseconds.data();
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
