#include "stat_fields.hpp"

#include <charconv>
#include <cstring>
#include <limits>
#include <type_traits>

#include "gpuctl/base/digits.hpp"

namespace gpuctl::proc::internal {
namespace {

// Goes along the fields behind the name, separated by single blanks. Numbers are those of proc_pid_stat(5).
class Cursor {
 public:
  explicit Cursor(std::string_view text) : at_(text.data()), end_(at_ + text.size()) {}

  // The field is one letter.
  void take_letter(char& into) {
    if (at_ == end_ || *at_ == ' ') {
      good_ = false;
      return;
    }
    into = *at_++;
    leave_field();
  }

  template <typename Number>
  void take(Number& into) {
    const bool negative = std::is_signed_v<Number> && at_ != end_ && *at_ == '-';
    if (negative) ++at_;
    std::uint64_t value = 0;
    const char* const rest = read_digits(at_, end_, value);
    constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<Number>::max());
    if (rest == nullptr || rest == at_ || value > kMost) {
      good_ = false;
      return;
    }
    into = static_cast<Number>(negative ? 0 - value : value);
    at_ = rest;
    leave_field();
  }

  void skip(int fields) {
    while (at_ != end_ && fields > 0) {
      if (*at_++ == ' ') --fields;
    }
    if (fields > 0) good_ = false;
  }

  bool good() const { return good_; }

 private:
  void leave_field() {
    if (at_ == end_) return;
    if (*at_ == ' ' || *at_ == '\n') {
      ++at_;
    } else {
      good_ = false;
    }
  }

  const char* at_;
  const char* end_;
  bool good_ = true;
};

bool scan_pid(std::string_view text, pid_t& pid) {
  const char* end = text.data() + text.size();
  const std::from_chars_result result = std::from_chars(text.data(), end, pid);
  return result.ec == std::errc() && result.ptr == end && pid >= 0;
}

}  // namespace

bool scan_stat(std::string_view text, StatFields& fields) {
  const std::size_t open = text.find(" (");
  const void* last = ::memrchr(text.data(), ')', text.size());
  if (open == std::string_view::npos || last == nullptr) return false;
  const auto close = static_cast<std::size_t>(static_cast<const char*>(last) - text.data());
  if (close < open + 2 || text.substr(close, 2) != ") ") return false;
  if (!scan_pid(text.substr(0, open), fields.pid)) return false;
  fields.name = text.substr(open + 2, close - open - 2);

  Cursor rest(text.substr(close + 2));
  rest.take_letter(fields.state);
  rest.take(fields.ppid);
  rest.take(fields.pgrp);
  rest.take(fields.session);
  rest.skip(2);  // tty_nr, tpgid
  rest.take(fields.flags);
  rest.skip(4);                   // faults
  rest.take(fields.utime_ticks);  // 14
  rest.take(fields.stime_ticks);
  rest.take(fields.cutime_ticks);
  rest.take(fields.cstime_ticks);
  rest.skip(2);                   // priority, nice
  rest.take(fields.threads);      // 20
  rest.skip(1);                   // itrealvalue
  rest.take(fields.start_ticks);  // 22
  rest.skip(1);                   // vsize
  rest.take(fields.rss_pages);    // 24
  return rest.good();
}

}  // namespace gpuctl::proc::internal
