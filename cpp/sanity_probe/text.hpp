// What the probe needs of a library and may not take from libstdc++: text, numbers, time.
//
// The probe runs in images of any age, so it is linked against libc alone, and asks it for nothing newer than glibc 2.17: no
// strtol or sscanf (glibc 2.38 renames them in headers), no stat (2.33), no pthread_create (2.34).
#pragma once

#include <cstddef>
#include <cstdint>

namespace sanity {

// A text of limited length that is cut, never overrun.
struct Text {
  char data[1024] = "";
  std::size_t length = 0;

  Text& add(const char* words);
  Text& add(std::uint64_t number);
  Text& add_hex(std::uint64_t number, int digits);
  void clear() { data[length = 0] = '\0'; }
};

bool equal(const char* a, const char* b);
bool equal_ignoring_case(const char* a, const char* b);

// The whole text as a decimal number.
bool parse_number(const char* text, std::uint64_t* number);

std::uint64_t now_usec();  // CLOCK_MONOTONIC

}  // namespace sanity
