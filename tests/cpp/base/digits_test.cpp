#include "gpuctl/base/digits.hpp"

#include <doctest/doctest.h>

#include <charconv>
#include <random>
#include <string>

using namespace gpuctl;

namespace {

// As from_chars(3) reads it, which is the judge here.
void check_like_from_chars(const std::string& text) {
  CAPTURE(text);
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  std::uint64_t wanted = 0;
  const std::from_chars_result judge = std::from_chars(begin, end, wanted);
  std::uint64_t value = 0;
  const char* const rest = read_digits(begin, end, value);
  if (judge.ec == std::errc::result_out_of_range) {
    CHECK(rest == nullptr);
    return;
  }
  CHECK(rest == judge.ptr);
  if (judge.ec == std::errc()) CHECK(value == wanted);
}

}  // namespace

TEST_CASE("digits are read to their end, at whatever place in the text") {
  for (const char* number : {"", "0", "7", "42", "1234567", "12345678", "123456789",
                             "1234567890123456", "00000000000000000000000012", "12345678901234567",
                             "9999999999999999999", "18446744073709551615", "18446744073709551616",
                             "99999999999999999999", "184467440737095516150"}) {
    for (const char* behind : {"", " ", "\n", "a", "/", ":", "-", ".00 total=12",
                               " 1 2 3 4 5 6 7 8", "\x80\xff\xb0\xb9", "\0\0\0\0\0\0\0\0\0"})
      check_like_from_chars(std::string(number) + behind);
  }
  check_like_from_chars(std::string(12, '\0'));
}

TEST_CASE("every byte but a digit ends a number, wherever it stands") {
  for (int byte = 0; byte < 256; ++byte) {
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text(24, '9');
      text[at] = static_cast<char>(byte);
      check_like_from_chars(text);
    }
  }
}

TEST_CASE("random texts") {
  std::mt19937 random(1);  // NOLINT: the same texts each time
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random() % 26, ' ');
    for (char& c : text)
      c = random() % 12 == 0 ? static_cast<char>(random()) : static_cast<char>('0' + random() % 10);
    check_like_from_chars(text);
  }
}
