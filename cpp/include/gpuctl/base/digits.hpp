// Decimal digits at the front of a text, eight at a time. A sample of a node is thousands of short numbers, and a loop over
// their digits, whose length no processor can guess, costs more than all the rest of the parsing.
//
//   std::uint64_t value = 0;
//   const char* rest = read_digits(begin, end, value);
//   if (rest == nullptr || rest == begin) …  // more than 64 bits; no digit
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace gpuctl {
namespace internal {

constexpr std::ptrdiff_t kDigitsAtOnce = 8;
inline constexpr std::array<std::uint64_t, kDigitsAtOnce + 1> kPowersOfTen = {
    1, 10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000, 100'000'000};

// Of the eight characters at `at`: how many there are before the first that is no digit, and their value.
inline std::ptrdiff_t read_eight(const char* at, std::uint64_t& value) {
  std::uint64_t bytes = 0;  // the first character is the lowest byte
  std::memcpy(&bytes, at, sizeof bytes);
  if constexpr (std::endian::native == std::endian::big) bytes = __builtin_bswap64(bytes);
  bytes ^= 0x3030303030303030;  // a digit is its value now, and everything else is above 9
  const std::uint64_t above = ((bytes + 0x7676767676767676) | bytes) & 0x8080808080808080;
  const std::ptrdiff_t count = above == 0 ? kDigitsAtOnce : __builtin_ctzll(above) / 8;
  if (count == 0) return 0;
  bytes <<= 8 * (kDigitsAtOnce - count);  // zeros come to stand before them
  bytes = (bytes * 10 + (bytes >> 8)) & 0x00ff00ff00ff00ff;
  bytes = (bytes * 100 + (bytes >> 16)) & 0x0000ffff0000ffff;
  value = (bytes * 10'000 + (bytes >> 32)) & 0xffffffff;
  return count;
}

// One more digit or several behind what `value` has. False: more than 64 bits.
inline bool append_digits(std::uint64_t& value, std::ptrdiff_t count, std::uint64_t digits) {
  return !__builtin_mul_overflow(value, kPowersOfTen[static_cast<std::size_t>(count)], &value) &&
         !__builtin_add_overflow(value, digits, &value);
}

}  // namespace internal

// Where the digits that [at, end) begins with end, `at` itself where it begins with none; nullptr where they need more than
// 64 bits. No sign.
inline const char* read_digits(const char* at, const char* end, std::uint64_t& value) {
  value = 0;
  while (end - at >= internal::kDigitsAtOnce) {
    std::uint64_t digits = 0;
    const std::ptrdiff_t count = internal::read_eight(at, digits);
    if (!internal::append_digits(value, count, digits)) return nullptr;
    at += count;
    if (count < internal::kDigitsAtOnce) return at;
  }
  for (; at != end && static_cast<unsigned char>(*at - '0') <= 9; ++at) {
    if (!internal::append_digits(value, 1, static_cast<unsigned char>(*at - '0'))) return nullptr;
  }
  return at;
}

}  // namespace gpuctl
