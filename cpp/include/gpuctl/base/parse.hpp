// Strict parsing: the whole text is the value, or there is an Error that says what was expected.
//
// No white space is skipped, no sign is accepted for unsigned values, nothing may follow. `what` names the
// thing in the error. Kernel files lose their trailing newline when they are read (see Dir::read).
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl {

// Digits of `base` (2..16, lower or upper case) with a value of at most `max`.
Result<std::uint64_t> parse_unsigned(std::string_view text, const std::string& what, int base = 10,
                                     std::uint64_t max = std::numeric_limits<std::uint64_t>::max());

// An optional '-' and decimal digits (numa_node reads "-1").
Result<std::int64_t> parse_signed(std::string_view text, const std::string& what);

// "0x" and hexadecimal digits, as in the files `vendor`, `device`, `class`.
Result<std::uint64_t> parse_hex(std::string_view text, const std::string& what,
                                std::uint64_t max = std::numeric_limits<std::uint64_t>::max());

// "90", "90s", "10m", "1h", "2d" -> microseconds. At most 10 years.
Result<std::int64_t> parse_duration_usec(std::string_view text, const std::string& what);

// GPU memory sizes: bytes, or K, M, G, T (and KB ...) decimal, KiB, MiB, GiB, TiB binary -> bytes.
Result<std::uint64_t> parse_size_bytes(std::string_view text, const std::string& what);

// Sizes of memory and disk as JAliEn has them: K, M, G (and KB, KiB ...) in steps of 1024, a bare number is MB, B bytes
// -> bytes, more than zero.
Result<std::uint64_t> parse_jalien_size_bytes(std::string_view text, const std::string& what);

// A job id: [A-Za-z0-9][A-Za-z0-9._-]{0,63}; ids become path names.
Result<std::string> parse_job_id(std::string_view text);

// Up to `max_digits` hexadecimal digits of either case that are all of `text`; nullopt otherwise. For what is read by the
// hundred and where nobody is told what was wrong.
std::optional<std::uint32_t> hex_digits(std::string_view text, std::size_t max_digits = 8);

// What `text` has before the first `separator`, or all of it; both are taken off `text`. Loops over lines without a vector:
//   while (!text.empty()) use(take_until(text, '\n'));
std::string_view take_until(std::string_view& text, char separator);

// Splits at each `separator`; "a,,b" has three parts, "" has one empty part.
std::vector<std::string_view> split(std::string_view text, char separator);

// Without leading and trailing blanks, tabs and line ends.
std::string_view trim(std::string_view text);

// Lower case of ASCII letters only.
std::string to_lower(std::string_view text);

// Every byte that is not printable ASCII as \xHH: for names that a payload chose, shown to a person.
std::string printable(std::string_view text);

}  // namespace gpuctl
