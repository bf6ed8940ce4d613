#include "text.hpp"

#include <cstring>
#include <ctime>

namespace sanity {

Text& Text::add(const char* words) {
  while (*words != '\0' && length + 1 < sizeof data) data[length++] = *words++;
  data[length] = '\0';
  return *this;
}

Text& Text::add(std::uint64_t number) {
  char digits[21];
  std::size_t at = sizeof digits;
  digits[--at] = '\0';
  do {
    digits[--at] = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  return add(digits + at);
}

Text& Text::add_hex(std::uint64_t number, int digits) {
  for (int place = digits - 1; place >= 0; --place) {
    const char one[2] = {"0123456789abcdef"[number >> (4 * place) & 15], '\0'};
    add(one);
  }
  return *this;
}

bool equal(const char* a, const char* b) { return std::strcmp(a, b) == 0; }

bool equal_ignoring_case(const char* a, const char* b) {
  const auto lower = [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  while (*a != '\0' && lower(*a) == lower(*b)) ++a, ++b;
  return *a == *b;
}

bool parse_number(const char* text, std::uint64_t* number) {
  if (*text == '\0') return false;
  *number = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    if (*number > (UINT64_MAX - 9) / 10) return false;
    *number = *number * 10 + static_cast<std::uint64_t>(*text - '0');
  }
  return *text == '\0';
}

std::uint64_t now_usec() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1000000 +
         static_cast<std::uint64_t>(now.tv_nsec) / 1000;
}

}  // namespace sanity
