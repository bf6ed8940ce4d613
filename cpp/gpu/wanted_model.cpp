// A wanted model name: its words and its memory sizes.
#include <algorithm>
#include <optional>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/match.hpp"
#include "model_words.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::size_t kMaxAlternatives = 256;  // a hostile name could ask for a product of brackets

struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// Reads one token of the forms below from a text; each step moves on or says no.
class Cursor {
 public:
  Cursor(std::string_view text, std::size_t at) : text_(text), at_(at) {}

  std::size_t at() const { return at_; }
  bool ends_word() const { return at_ >= text_.size() || !is_word_byte(text_[at_]); }

  std::string_view digits() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return text_.substr(begin, at_ - begin);
  }

  bool one_of(std::string_view letters) {
    if (at_ >= text_.size()) return false;
    const char lower = to_lower(text_.substr(at_, 1))[0];
    if (letters.find(lower) == std::string_view::npos) return false;
    ++at_;
    return true;
  }

 private:
  std::string_view text_;
  std::size_t at_;
};

bool begins_word(std::string_view text, std::size_t at) {
  return at == 0 || !is_word_byte(text[at - 1]);
}

// "1g.10gb", "1c.3g.20gb": a MIG profile is a name, no size.
std::optional<Span> profile_at(std::string_view text, std::size_t at) {
  Cursor cursor(text, at);
  if (!begins_word(text, at) || cursor.digits().size() != 1) return std::nullopt;
  if (cursor.one_of("c") && (!cursor.one_of(".") || cursor.digits().size() != 1))
    return std::nullopt;
  if (!cursor.one_of("g") || !cursor.one_of(".") || cursor.digits().empty()) return std::nullopt;
  if (!cursor.one_of("g") || !cursor.one_of("b") || !cursor.ends_word()) return std::nullopt;
  return Span{at, cursor.at()};
}

struct Size {
  Span span;
  std::uint64_t bytes = 0;
};

std::uint64_t power_of(char letter) {
  switch (letter) {
    case 'm': return std::uint64_t{1} << 20;
    case 'g': return std::uint64_t{1} << 30;
    default: return std::uint64_t{1} << 40;
  }
}

// Whole and fraction of "11.5" in units of `unit`.
std::uint64_t scaled(std::string_view whole, std::string_view fraction, std::uint64_t unit) {
  const double value = std::stod(std::string(whole.substr(0, 12)) + "." +
                                 (fraction.empty() ? "0" : std::string(fraction.substr(0, 12))));
  return static_cast<std::uint64_t>(value * static_cast<double>(unit));
}

// "32GB", "32 GB", "32GiB", "16384MB".
std::optional<Size> long_size_at(std::string_view text, std::size_t at) {
  Cursor cursor(text, at);
  const std::string_view whole = cursor.digits();
  std::string_view fraction;
  if (Cursor point = cursor; point.one_of(".")) {
    fraction = point.digits();
    if (!fraction.empty()) cursor = point;
  }
  cursor.one_of(" ");
  const std::size_t letter = cursor.at();
  if (!cursor.one_of("mgt")) return std::nullopt;
  cursor.one_of("i");
  if (!cursor.one_of("b") || !cursor.ends_word()) return std::nullopt;
  const char unit = to_lower(text.substr(letter, 1))[0];
  return Size{{at, cursor.at()}, scaled(whole, fraction, power_of(unit))};
}

// "80G", only up to three digits: a Ryzen 5600G is a name.
std::optional<Size> short_size_at(std::string_view text, std::size_t at) {
  Cursor cursor(text, at);
  const std::string_view whole = cursor.digits();
  if (whole.size() > 3 || !cursor.one_of("g") || !cursor.ends_word()) return std::nullopt;
  return Size{{at, cursor.at()}, scaled(whole, "", power_of('g'))};
}

std::optional<Size> size_at(std::string_view text, std::size_t at) {
  const bool digit = text[at] >= '0' && text[at] <= '9';
  const bool in_number =
      at >= 2 && text[at - 1] == '.' && text[at - 2] >= '0' && text[at - 2] <= '9';
  if (!digit || !begins_word(text, at) || in_number) return std::nullopt;
  if (std::optional<Size> size = long_size_at(text, at)) return size;
  return short_size_at(text, at);
}

std::vector<Size> sizes_in(std::string_view text) {
  std::vector<Size> sizes;
  for (std::size_t at = 0; at < text.size();) {
    if (const std::optional<Span> profile = profile_at(text, at)) {
      at = profile->end;
    } else if (const std::optional<Size> size = size_at(text, at)) {
      sizes.push_back(*size);
      at = size->span.end;
    } else {
      ++at;
    }
  }
  return sizes;
}

std::string without(std::string_view text, const std::vector<Size>& sizes) {
  std::string rest(text);
  for (auto each = sizes.rbegin(); each != sizes.rend(); ++each)
    rest.replace(each->span.begin, each->span.end - each->span.begin, " ");
  return rest;
}

std::vector<std::string> blank_separated(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split(text, ' ')) {
    if (!trim(word).empty()) words.emplace_back(trim(word));
  }
  return words;
}

std::string joined(std::vector<std::string> words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

// A board that begins with a number goes on from the brand of the first one (`Radeon RX`); one that has no number at all
// (`Max-Q`) replaces the first one's last word; any other stands for itself.
std::string completed(const std::vector<std::string>& board,
                      const std::vector<std::string>& first) {
  std::size_t numbered = first.size();
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (has_digit(first[i])) numbered = i;
  }
  const auto upto = [&](std::size_t count) {
    return std::vector<std::string>(first.begin(),
                                    first.begin() + static_cast<std::ptrdiff_t>(count));
  };
  if (!board.empty() && has_digit(board.front())) return joined(upto(numbered), board);
  const bool no_number = std::none_of(board.begin(), board.end(),
                                      [](const std::string& word) { return has_digit(word); });
  if (no_number && numbered < first.size()) return joined(upto(first.size() - 1), board);
  return joined({}, board);
}

std::vector<std::string> boards(std::string_view piece) {
  std::vector<std::string> all;
  std::vector<std::string> first;
  for (const std::string_view board : split(piece, '/')) {
    const std::vector<std::string> words = blank_separated(board);
    if (all.empty()) {
      first = words;
      all.emplace_back(trim(board));
    } else {
      all.push_back(completed(words, first));
    }
  }
  return all;
}

// Outside, inside, outside, ... of the innermost brackets.
std::vector<std::string_view> pieces_of(std::string_view name) {
  std::vector<std::string_view> pieces;
  std::size_t begin = 0;
  std::size_t open = std::string_view::npos;
  for (std::size_t at = 0; at < name.size(); ++at) {
    if (name[at] == '[') open = at;
    if (name[at] != ']' || open == std::string_view::npos) continue;
    pieces.push_back(name.substr(begin, open - begin));
    pieces.push_back(name.substr(open + 1, at - open - 1));
    begin = at + 1;
    open = std::string_view::npos;
  }
  pieces.push_back(name.substr(begin));
  return pieces;
}

bool in_order(const std::vector<std::string>& words, const std::vector<std::string>& among) {
  auto rest = among.begin();
  for (const std::string& word : words) {
    rest = std::find(rest, among.end(), word);
    if (rest == among.end()) return false;
    ++rest;
  }
  return true;
}

}  // namespace

std::vector<std::string> name_alternatives(std::string_view name) {
  std::vector<std::string> all{""};
  bool first = true;
  for (const std::string_view piece : pieces_of(name)) {
    std::vector<std::string> longer;
    const std::vector<std::string> choices = boards(piece);
    for (const std::string& begun : all) {
      for (const std::string& each : choices) {
        if (longer.size() < kMaxAlternatives) longer.push_back(first ? each : begun + " " + each);
      }
    }
    all = std::move(longer);
    first = false;
  }
  return all;
}

WantedModel::WantedModel(std::string_view text) : text_(trim(text)) {
  const std::vector<Size> sizes = sizes_in(text_);
  for (const Size& size : sizes) sizes_.push_back(size.bytes);
  words_ = name_words(without(text_, sizes));
  all_words_ = name_words(text_);
}

bool WantedModel::in_name(std::string_view name, std::string_view vendor, bool with_sizes) const {
  if (to_lower(text_) == to_lower(trim(name))) return true;
  const std::vector<std::string>& wanted = with_sizes ? all_words_ : words_;
  const std::vector<std::string> names = name_alternatives(name);
  return std::any_of(names.begin(), names.end(), [&](const std::string& each) {
    std::vector<std::string> words = name_words(each);
    words.insert(words.begin(), to_lower(vendor));
    return in_order(wanted, words);
  });
}

}  // namespace gpuctl::gpu
