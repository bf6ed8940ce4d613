#include "classad.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup::internal {
namespace {

constexpr int kMostSteps = 10'000;  // an ad may double its work with each attribute
constexpr int kMostNested = 24;     // parentheses and attributes that refer to attributes

bool is_name_letter(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_' || letter == '.';
}

// Arithmetic from the left: SUM = PRODUCT {+|- PRODUCT}, PRODUCT = ATOM {*|/ ATOM}.
class Arithmetic {
 public:
  Arithmetic(const ClassAd& ad, std::string_view text, int nested, int& steps)
      : ad_(ad), rest_(text), nested_(nested), steps_(steps) {}

  std::optional<double> sum() {
    std::optional<double> value = product();
    while (value) {
      if (take('+')) {
        value = combine(value, product(), 1.0);
      } else if (take('-')) {
        value = combine(value, product(), -1.0);
      } else {
        break;
      }
    }
    return value;
  }

  // Nothing but blanks is left.
  bool at_end() {
    skip_blanks();
    return rest_.empty();
  }

 private:
  static std::optional<double> combine(std::optional<double> left, std::optional<double> right,
                                       double sign) {
    return left && right ? std::optional(*left + sign * *right) : std::nullopt;
  }

  std::optional<double> product() {
    std::optional<double> value = atom();
    while (value) {
      if (take('*')) {
        const std::optional<double> factor = atom();
        value = factor ? std::optional(*value * *factor) : std::nullopt;
      } else if (take('/')) {
        const std::optional<double> divisor = atom();
        value = divisor && *divisor != 0.0 ? std::optional(*value / *divisor) : std::nullopt;
      } else {
        break;
      }
    }
    return value;
  }

  std::optional<double> atom() {
    if (nested_ > kMostNested || --steps_ < 0) return std::nullopt;
    if (take('(')) {
      ++nested_;
      const std::optional<double> value = sum();
      --nested_;
      return value && take(')') ? value : std::nullopt;
    }
    skip_blanks();
    std::size_t length = 0;
    while (length < rest_.size() && is_name_letter(rest_[length])) ++length;
    const std::string word = to_lower(rest_.substr(0, length));
    rest_.remove_prefix(length);
    if (word.empty()) return std::nullopt;
    const bool is_number = std::isdigit(static_cast<unsigned char>(word[0])) != 0;
    return is_number ? number(word) : attribute(word);
  }

  static std::optional<double> number(const std::string& word) {
    double value = 0;
    const char* end = word.data() + word.size();
    const std::from_chars_result result = parse_double(word.data(), end, value);
    return result.ec == std::errc() && result.ptr == end ? std::optional(value) : std::nullopt;
  }

  // Digits, '.', digits: libstdc++ 10 has no from_chars for double.
  static std::from_chars_result parse_double(const char* at, const char* end, double& value) {
    std::uint64_t whole = 0;
    std::from_chars_result result = std::from_chars(at, end, whole);
    value = static_cast<double>(whole);
    if (result.ec != std::errc() || result.ptr == end || *result.ptr != '.') return result;
    double unit = 0.1;
    for (at = result.ptr + 1; at != end && *at >= '0' && *at <= '9'; ++at, unit /= 10)
      value += (*at - '0') * unit;
    return {at, std::errc()};
  }

  std::optional<double> attribute(std::string word) const {
    if (word.substr(0, 3) == "my.") word.erase(0, 3);
    const std::optional<std::string> text = ad_.expression(word);
    if (!text) return std::nullopt;
    Arithmetic inner(ad_, *text, nested_ + 1, steps_);
    const std::optional<double> value = inner.sum();
    return inner.at_end() ? value : std::nullopt;
  }

  void skip_blanks() {
    rest_ = rest_.substr(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
  }

  bool take(char letter) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != letter) return false;
    rest_.remove_prefix(1);
    return true;
  }

  const ClassAd& ad_;
  std::string_view rest_;
  int nested_;
  int& steps_;
};

// What is done with an attribute at one place of an expression.
enum class Use { above, other_comparison, arithmetic };

Use use_of(std::string_view before, std::string_view behind) {
  const std::size_t last = before.find_last_not_of(" \t(");
  if (last != std::string_view::npos && before[last] == '<') return Use::arithmetic;
  if (behind.empty() || behind.front() == ')') return Use::other_comparison;
  if (behind.front() == '>') return Use::above;
  const bool compared =
      std::string_view("=!<&|?:,;").find(behind.front()) != std::string_view::npos;
  return compared ? Use::other_comparison : Use::arithmetic;
}

// "MY.ResidentSetSize": what stands before it stands before its scope.
std::size_t name_start(std::string_view text, std::size_t at) {
  while (at > 0 && is_name_letter(text[at - 1])) --at;
  return at;
}

std::string_view without_operator(std::string_view behind) {
  behind.remove_prefix(1);
  if (!behind.empty() && behind.front() == '=') behind.remove_prefix(1);
  return behind;
}

}  // namespace

ClassAd ClassAd::parse(std::string_view text) {
  ClassAd ad;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string name = to_lower(trim(line.substr(0, equals)));
    if (!name.empty()) ad.values_[name] = std::string(trim(line.substr(equals + 1)));
  }
  return ad;
}

std::optional<std::string> ClassAd::expression(const std::string& name) const {
  const auto found = values_.find(to_lower(name));
  return found == values_.end() ? std::nullopt : std::optional<std::string>(found->second);
}

std::optional<double> ClassAd::number(const std::string& name) const {
  const std::optional<std::string> text = expression(name);
  if (!text) return std::nullopt;
  const auto [value, whole] = evaluate(*text);
  return whole ? value : std::nullopt;
}

std::pair<std::optional<double>, bool> ClassAd::evaluate(std::string_view text) const {
  int steps = kMostSteps;
  Arithmetic arithmetic(*this, text, 0, steps);
  const std::optional<double> value = arithmetic.sum();
  return {value, arithmetic.at_end()};
}

std::vector<std::optional<double>> ClassAd::thresholds(const std::string& policy,
                                                       const std::string& name) const {
  std::vector<std::optional<double>> found;
  const std::string text = expression(policy).value_or("");
  const std::string lower = to_lower(text);
  const std::string wanted = to_lower(name);
  for (std::size_t at = 0; (at = lower.find(wanted, at)) != std::string::npos;) {
    const std::size_t start = at;
    const bool begins = at == 0 || lower[at - 1] == '.' || !is_name_letter(lower[at - 1]);
    at += wanted.size();
    if (lower.compare(at, 4, "_raw") == 0) at += 4;
    const bool ends = at == lower.size() || !is_name_letter(lower[at]);
    if (!begins || !ends) continue;
    const std::string_view all = lower;
    const std::size_t next = std::min(all.find_first_not_of(" \t)", at), all.size());
    const Use use = use_of(all.substr(0, name_start(all, start)), all.substr(next));
    if (use == Use::above) found.push_back(evaluate(without_operator(all.substr(next))).first);
    if (use == Use::arithmetic) found.emplace_back();
  }
  return found;
}

}  // namespace gpuctl::cgroup::internal
