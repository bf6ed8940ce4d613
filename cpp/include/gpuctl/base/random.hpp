// Random hexadecimal digits of the kernel's (getrandom(2)), for names that nobody else makes.
#pragma once

#include <cstddef>
#include <string>

namespace gpuctl {

// Two for each of `bytes`, at most 256; empty where the kernel gives none (before 3.17).
std::string random_digits(std::size_t bytes);

// 16 digits; where there are none, of the clock and our pid.
std::string random_suffix();

}  // namespace gpuctl
