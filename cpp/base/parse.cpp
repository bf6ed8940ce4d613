#include "gpuctl/base/parse.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace gpuctl {
namespace {

Failure expected(std::string_view text, const std::string& what, const std::string& wanted) {
  return fail(ErrorCode::malformed, "",
              what + ": expected " + wanted + ", got `" + printable(text.substr(0, 80)) + "`");
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

struct Unit {
  const char* name;
  std::uint64_t factor;
};

// Splits "10m" into its digits and its unit.
std::pair<std::string_view, std::string_view> split_unit(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  return {text.substr(0, digits), text.substr(digits)};
}

template <std::size_t N>
const Unit* find_unit(const std::array<Unit, N>& units, std::string_view name) {
  const auto* unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& each) { return name == each.name; });
  return unit == units.end() ? nullptr : unit;
}

constexpr std::uint64_t kKilo = 1000;
constexpr std::uint64_t kKibi = 1024;

constexpr std::array<Unit, 5> kDurationUnits{{{"", 1'000'000},
                                              {"s", 1'000'000},
                                              {"m", 60'000'000},
                                              {"h", 3'600'000'000},
                                              {"d", 86'400'000'000}}};
constexpr std::uint64_t kMaxDurationUsec = std::uint64_t{10} * 365 * 86'400'000'000;

constexpr std::array<Unit, 14> kSizeUnits{{{"", 1},
                                           {"B", 1},
                                           {"K", kKilo},
                                           {"KB", kKilo},
                                           {"KiB", kKibi},
                                           {"M", kKilo * kKilo},
                                           {"MB", kKilo * kKilo},
                                           {"MiB", kKibi * kKibi},
                                           {"G", kKilo * kKilo * kKilo},
                                           {"GB", kKilo * kKilo * kKilo},
                                           {"GiB", kKibi * kKibi * kKibi},
                                           {"T", kKilo * kKilo * kKilo * kKilo},
                                           {"TB", kKilo * kKilo * kKilo * kKilo},
                                           {"TiB", kKibi * kKibi * kKibi * kKibi}}};

// As JAliEn counts memory and disk: steps of 1024, a bare number is MB.
constexpr std::array<Unit, 11> kJalienUnits{{{"", kKibi * kKibi},
                                             {"B", 1},
                                             {"K", kKibi},
                                             {"KB", kKibi},
                                             {"KiB", kKibi},
                                             {"M", kKibi * kKibi},
                                             {"MB", kKibi * kKibi},
                                             {"MiB", kKibi * kKibi},
                                             {"G", kKibi * kKibi * kKibi},
                                             {"GB", kKibi * kKibi * kKibi},
                                             {"GiB", kKibi * kKibi * kKibi}}};

// digits × unit, or an error when either is wrong or the product is above `max`.
template <std::size_t N>
Result<std::uint64_t> parse_with_unit(std::string_view text, const std::string& what,
                                      const std::array<Unit, N>& units, std::uint64_t max,
                                      const std::string& wanted) {
  const auto [digits, unit_name] = split_unit(text);
  const Unit* unit = find_unit(units, unit_name);
  const Result<std::uint64_t> number = parse_unsigned(digits, what);
  if (unit == nullptr || !number || *number > max / unit->factor)
    return expected(text, what, wanted);
  return *number * unit->factor;
}

}  // namespace

Result<std::uint64_t> parse_unsigned(std::string_view text, const std::string& what, int base,
                                     std::uint64_t max) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value, base);
  if (text.empty() || status != std::errc() || stop != end || value > max) {
    std::string wanted = base == 16 ? "a hexadecimal number" : "a number";
    if (max != std::numeric_limits<std::uint64_t>::max())
      wanted += " of at most " + std::to_string(max);
    return expected(text, what, wanted);
  }
  return value;
}

Result<std::int64_t> parse_signed(std::string_view text, const std::string& what) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, value);
  if (text.empty() || status != std::errc() || stop != end)
    return expected(text, what, "a whole number");
  return value;
}

Result<std::uint64_t> parse_hex(std::string_view text, const std::string& what, std::uint64_t max) {
  if (text.substr(0, 2) != "0x") return expected(text, what, "0x and hexadecimal digits");
  return parse_unsigned(text.substr(2), what, 16, max);
}

Result<std::int64_t> parse_duration_usec(std::string_view text, const std::string& what) {
  const Result<std::uint64_t> usec =
      parse_with_unit(text, what, kDurationUnits, kMaxDurationUsec,
                      "a duration such as 90, 90s, 10m, 1h or 2d (at most 10 years)");
  if (!usec) return fail(usec.error());
  return static_cast<std::int64_t>(*usec);
}

Result<std::uint64_t> parse_size_bytes(std::string_view text, const std::string& what) {
  return parse_with_unit(text, what, kSizeUnits, std::numeric_limits<std::uint64_t>::max(),
                         "a size such as 16GB (decimal) or 16GiB (binary)");
}

Result<std::uint64_t> parse_jalien_size_bytes(std::string_view text, const std::string& what) {
  Result<std::uint64_t> bytes =
      parse_with_unit(text, what, kJalienUnits, std::numeric_limits<std::int64_t>::max(),
                      "a size such as 8GB or 8000 (MB), in steps of 1024");
  if (bytes && *bytes == 0) return expected(text, what, "at least one byte");
  return bytes;
}

Result<std::string> parse_job_id(std::string_view text) {
  const auto allowed = [](char c) {
    return is_alphanumeric(c) || c == '.' || c == '_' || c == '-';
  };
  const bool good = !text.empty() && text.size() <= 64 && is_alphanumeric(text.front()) &&
                    std::all_of(text.begin(), text.end(), allowed);
  if (!good) {
    return fail(ErrorCode::usage, "",
                "bad job id `" + printable(text.substr(0, 80)) +
                    "`: use 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or digit");
  }
  return std::string(text);
}

std::optional<std::uint32_t> hex_digits(std::string_view text, std::size_t max_digits) {
  if (text.empty() || text.size() > max_digits || text.size() > 8) return std::nullopt;
  std::uint32_t value = 0;
  for (const char c : text) {
    const auto digit = static_cast<unsigned char>(c - '0');
    const auto letter = static_cast<unsigned char>((c | 0x20) - 'a');
    if (digit > 9 && letter > 5) return std::nullopt;
    value = value << 4 | (digit <= 9 ? digit : letter + 10U);
  }
  return value;
}

std::string_view take_until(std::string_view& text, char separator) {
  const std::size_t length = std::min(text.find(separator), text.size());
  const std::string_view part = text.substr(0, length);
  text.remove_prefix(std::min(length + 1, text.size()));
  return part;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string printable(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      shown += c;
    } else {
      shown += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return shown;
}

}  // namespace gpuctl
