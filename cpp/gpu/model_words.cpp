#include "model_words.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu {
namespace {

bool is_ascii_word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0U) == 0x80U; }

// Signs that vendors put into names: (R), (TM), dashes and blanks of typesetters. Other characters are letters.
bool is_sign(std::string_view character) {
  constexpr std::array<std::string_view, 4> kSigns{"\xc2\xae", "\xc2\xa9", "\xe2\x84\xa2",
                                                   "\xc2\xa0"};
  if (std::find(kSigns.begin(), kSigns.end(), character) != kSigns.end()) return true;
  return character.substr(0, 2) == "\xe2\x80" || character.substr(0, 2) == "\xe2\x81";
}

std::string_view character_at(std::string_view text, std::size_t at) {
  std::size_t size = 1;
  if (!is_continuation(text[at]) && static_cast<unsigned char>(text[at]) >= 0x80U) {
    while (at + size < text.size() && is_continuation(text[at + size])) ++size;
  }
  return text.substr(at, size);
}

}  // namespace

bool is_word_byte(char c) { return is_ascii_word(c) || static_cast<unsigned char>(c) >= 0x80U; }

bool has_digit(std::string_view word) {
  return std::any_of(word.begin(), word.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::vector<std::string> name_words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  for (std::size_t at = 0; at <= text.size();) {
    const std::string_view character =
        at < text.size() ? character_at(text, at) : std::string_view();
    const bool part = !character.empty() && is_word_byte(character[0]) && !is_sign(character);
    if (part) word += character;
    if (!part && !word.empty()) words.push_back(to_lower(std::exchange(word, {})));
    at += std::max<std::size_t>(character.size(), 1);
  }
  return words;
}

}  // namespace gpuctl::gpu
