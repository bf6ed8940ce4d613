// Time: deadlines on CLOCK_MONOTONIC, stamps for people and JSON on CLOCK_REALTIME. All in microseconds.
#pragma once

#include <cstdint>
#include <string>

namespace gpuctl {

using Usec = std::int64_t;

inline constexpr Usec kUsecPerSec = 1'000'000;

Usec monotonic_usec();  // never goes back; stands still while the machine is suspended
Usec realtime_usec();   // since 1970-01-01 UTC
Usec boottime_usec();  // since boot, suspended or not: the machine's, whatever time namespace we are in

// How far our time namespace shows the time since boot ahead of the machine's (time_namespaces(7)); start times in /proc are
// shown with it too. Read once for the process.
Usec boottime_ahead_usec();

// RFC 3339 in UTC with milliseconds: "2026-08-19T20:06:13.042Z".
std::string format_rfc3339(Usec realtime);

// The stamp of JAliEn's job traces in local time: "Aug 19 22:06:13".
std::string format_trace_stamp(Usec realtime);

// "850 ms", "12.3 s", "5 min 20 s", "2 h 5 min".
std::string format_duration(Usec duration);

}  // namespace gpuctl
