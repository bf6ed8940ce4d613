#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <optional>

#include "gpuctl/base/parse.hpp"
#include "gpuctl/gpu/capture.hpp"

namespace gpuctl::gpu {
namespace {

constexpr std::size_t kMinWord = 3;
constexpr std::size_t kMinSerial = 6;
constexpr std::size_t kUuidLength = 36;
constexpr std::uint64_t kFirstMadeUpId = 0x1000000000000001;

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

// "8ae1a3f7-1f6b-4a2d-9c3e-000000000000" at `at`.
bool is_uuid_at(std::string_view text, std::size_t at) {
  if (at + kUuidLength > text.size()) return false;
  for (std::size_t i = 0; i < kUuidLength; ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[at + i] != '-' : !is_hex(text[at + i])) return false;
  }
  return at + kUuidLength == text.size() || !is_word(text[at + kUuidLength]);
}

std::string made_up_uuid(std::size_t number) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%08zx-0000-4000-8000-%012zx", number, number);
  return text.data();
}

std::string hex16(std::uint64_t value) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(value));
  return text.data();
}

std::string to_upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

// Whole words only: "lxplus" is not in "lxplus7", nor 12 in 1200.
std::string replace_word(const std::string& text, const std::string& from, const std::string& to) {
  std::string result;
  std::size_t done = 0;
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    const std::size_t end = at + from.size();
    const bool whole =
        (at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end]));
    if (whole) {
      result.append(text, done, at - done).append(to);
      done = end;
    }
    at = end;
  }
  return result.append(text, done, std::string::npos);
}

bool is_serial(std::string_view run) {
  return run.size() >= kMinSerial &&
         std::any_of(run.begin(), run.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::size_t end_of_run(std::string_view line, std::size_t at) {
  while (at < line.size() && (is_word(line[at]) || line[at] == '-')) ++at;
  return at;
}

// Where the value of the name before `at` begins: behind a `:`, `=` or `>`; where there is none, behind the blanks.
std::size_t value_behind(std::string_view line, std::size_t at) {
  const std::size_t mark = line.find_first_of(":=>", at);
  if (mark != std::string_view::npos) at = mark + 1;
  while (at < line.size() && !is_word(line[at])) ++at;
  return at;
}

// A piece of a line, and what comes in its place.
struct Change {
  std::size_t first = 0;
  std::size_t last = 0;
  const char* text = "";
};

// One pass, however many changes: `next` gives the first one at or behind a place, nullopt when there is none.
template <typename Next>
std::string changed(std::string_view line, Next next) {
  std::string result;
  std::size_t done = 0;
  while (const std::optional<Change> change = next(done)) {
    result.append(line.substr(done, change->first - done)).append(change->text);
    done = change->last;
  }
  return result.append(line.substr(done));
}

// "Serial Number": "1324520042233" without the number. What else is on the line stays: JSON may be all in one.
std::string without_serials(std::string_view line, const char* name) {
  const std::string lower = to_lower(line);
  std::size_t at = lower.find(name);
  if (at == std::string::npos) return std::string(line);
  return changed(line, [&](std::size_t done) -> std::optional<Change> {
    for (at = lower.find(name, done); at != std::string::npos; at = lower.find(name, at + 1)) {
      const std::size_t first = value_behind(line, at + std::string_view(name).size());
      const std::size_t last = end_of_run(line, first);
      if (is_serial(line.substr(first, last - first))) return Change{first, last, "SCRUBBED"};
    }
    return std::nullopt;
  });
}

bool is_of_address(char c) { return is_word(c) || c == '-' || c == '.' || c == '_'; }

// The word with the '@' in it: who built a driver, and where.
std::string without_addresses(std::string_view line) {
  return changed(line, [&](std::size_t done) -> std::optional<Change> {
    for (std::size_t at = line.find('@', done); at != std::string_view::npos;
         at = line.find('@', at + 1)) {
      std::size_t first = at;
      std::size_t last = at + 1;
      while (first > done && is_of_address(line[first - 1])) --first;
      while (last < line.size() && is_of_address(line[last])) ++last;
      if (first < at && last > at + 1) return Change{first, last, "user@host"};
    }
    return std::nullopt;
  });
}

// "/home/anna/x" -> "/home/user/x"
std::string without_homes(std::string_view line) {
  static constexpr std::string_view kHome = "/home/";
  return changed(line, [&](std::size_t done) -> std::optional<Change> {
    const std::size_t at = line.find(kHome, done);
    if (at == std::string_view::npos) return std::nullopt;
    const std::size_t first = at + kHome.size();
    std::size_t last = first;
    while (last < line.size() && is_of_address(line[last])) ++last;
    return Change{first, last, "user"};
  });
}

}  // namespace

Scrubber::Scrubber(std::vector<std::string> words) {
  for (std::string& word : words) {
    if (word.size() >= kMinWord) words_.emplace_back(std::move(word), "node");
  }
  std::sort(words_.begin(), words_.end(),
            [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

void Scrubber::learn_unique_id(std::uint64_t id) {
  if (id == 0 || !unique_ids_.insert(id).second) return;
  const std::uint64_t made_up = kFirstMadeUpId + unique_ids_.size() - 1;
  words_.emplace_back(hex16(id), hex16(made_up));
  words_.emplace_back(to_upper(hex16(id)), to_upper(hex16(made_up)));
  words_.emplace_back("0x" + hex16(id), "0x" + hex16(made_up));
  words_.emplace_back(std::to_string(id), std::to_string(made_up));
}

std::string Scrubber::replace_uuids(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size();) {
    if (!is_uuid_at(text, at)) {
      result += text[at++];
      continue;
    }
    const std::string key = to_lower(text.substr(at, kUuidLength));
    const auto known = uuids_.emplace(key, made_up_uuid(uuids_.size() + 1)).first;
    result += known->second;
    at += kUuidLength;
  }
  return result;
}

std::string Scrubber::replace_words(std::string text) const {
  for (const auto& [from, to] : words_) text = replace_word(text, from, to);
  return text;
}

std::string Scrubber::scrub(std::string_view text) {
  const std::string known = replace_words(replace_uuids(text));
  std::string result;
  for (const std::string_view line : split(known, '\n')) {
    const std::string clean = without_homes(without_addresses(line));
    result.append(without_serials(without_serials(clean, "asset"), "serial")).push_back('\n');
  }
  result.pop_back();
  return result;
}

}  // namespace gpuctl::gpu
