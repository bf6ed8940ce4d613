// The words of a name: whole runs of letters and digits, lower case.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gpuctl::gpu {

std::vector<std::string> name_words(std::string_view text);

// A letter or digit begins at, or ends before, this byte; bytes of letters beyond ASCII count.
bool is_word_byte(char c);

bool has_digit(std::string_view word);

}  // namespace gpuctl::gpu
