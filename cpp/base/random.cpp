#include "gpuctl/base/random.hpp"

#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

#include "gpuctl/base/clock.hpp"

namespace gpuctl {

std::string random_digits(std::size_t bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::array<unsigned char, 256> random;  // NOLINT: filled by getrandom(2)
  if (::getrandom(random.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return {};
  std::string digits(2 * bytes, '0');
  for (std::size_t i = 0; i < bytes; ++i) {
    digits[2 * i] = kHex[random[i] >> 4];
    digits[2 * i + 1] = kHex[random[i] & 15];
  }
  return digits;
}

std::string random_suffix() {
  std::string digits = random_digits(8);
  if (!digits.empty()) return digits;
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%08x%08x", static_cast<unsigned>(monotonic_usec()),
                static_cast<unsigned>(::getpid()));
  return text.data();
}

}  // namespace gpuctl
