#include "gpuctl/base/clock.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <ctime>

using namespace gpuctl;

TEST_CASE("stamps for programs are RFC 3339 in UTC with milliseconds") {
  CHECK(format_rfc3339(0) == "1970-01-01T00:00:00.000Z");
  CHECK(format_rfc3339(1'787'169'973'042'999) == "2026-08-19T20:06:13.042Z");
}

TEST_CASE("stamps of traces are JAliEn's, in local time") {
  ::setenv("TZ", "UTC-2", 1);
  ::tzset();
  CHECK(format_trace_stamp(1'787'169'973'042'999) == "Aug 19 22:06:13");
  ::unsetenv("TZ");
  ::tzset();
}

TEST_CASE("durations for people") {
  CHECK(format_duration(0) == "0 ms");
  CHECK(format_duration(850'000) == "850 ms");
  CHECK(format_duration(12'345'678) == "12.3 s");
  CHECK(format_duration(320 * kUsecPerSec) == "5 min 20 s");
  CHECK(format_duration(300 * kUsecPerSec) == "5 min");
  CHECK(format_duration(7500 * kUsecPerSec) == "2 h 5 min");
}

TEST_CASE("the monotonic clock does not go back") {
  const Usec first = monotonic_usec();
  CHECK(monotonic_usec() >= first);
}
