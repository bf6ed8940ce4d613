#include "flags.hpp"

#include <getopt.h>

#include <algorithm>
#include <cstring>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::app {
namespace {

bool names_verb(const Flag& flag, const Verb& verb) {
  const std::vector<std::string_view> names = split(flag.verbs, ',');
  return std::find(names.begin(), names.end(), verb.name) != names.end();
}

// How many single-letter edits lie between two words (Levenshtein).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
    }
  }
  return row[b.size()];
}

// " (did you mean `run`?)" where a word is near enough.
std::string suggestion(const std::string& typed, const std::vector<std::string>& known,
                       const std::string& dashes) {
  const std::string* best = nullptr;
  std::size_t best_distance = 3;
  for (const std::string& word : known) {
    const std::size_t edits = distance(typed, word);
    if (edits < best_distance) {
      best = &word;
      best_distance = edits;
    }
  }
  return best == nullptr ? "" : " (did you mean `" + dashes + *best + "`?)";
}

Failure usage_error(const Verb* verb, const std::string& detail) {
  const std::string help =
      verb == nullptr ? "`gpuctl help`" : "`gpuctl " + std::string(verb->name) + " --help`";
  return fail(ErrorCode::usage, "", detail + "; see " + help);
}

// The flags that may stand at one place, as getopt_long(3) wants them.
class Options {
 public:
  Options(const Verb* verb, bool stop_at_operand) : verb_(verb) {
    rows_ = flags_of(nullptr);
    if (verb != nullptr) {
      for (const Flag* flag : flags_of(verb)) rows_.push_back(flag);
    }
    letters_ = stop_at_operand ? "+:" : ":";
    for (const Flag* flag : rows_) {
      long_.push_back(
          {flag->name, flag->metavar == nullptr ? no_argument : required_argument, nullptr, 0});
      if (flag->letter != 0) letters_ += flag->letter;
    }
    long_.push_back({nullptr, 0, nullptr, 0});
  }

  // True: it was `--` that ended them.
  Result<bool> parse(int argc, char** argv, Invocation& into) {
    ::opterr = 0;
    while (true) {
      int index = -1;
      const int before = ::optind;
      const int found = ::getopt_long(argc, argv, letters_.c_str(), long_.data(), &index);
      if (found == -1) return ::optind > std::max(before, 1);
      if (found == '?' || found == ':') return explain(argv[optind - 1], found);
      const Flag& flag = *row_of(found, index);
      if (const std::string typed = word_of(argv, flag); found == 0 && !is_whole(typed, flag))
        return explain(typed, '?');
      if (Result<void> taken = take(flag, into); !taken) return fail(taken.error());
    }
  }

 private:
  // getopt_long(3) takes any unambiguous beginning of a name; a flag added later would break scripts that do.
  static bool is_whole(const std::string& typed, const Flag& flag) {
    return typed.substr(0, typed.find('=')) == "--" + std::string(flag.name);
  }

  static std::string word_of(char** argv, const Flag& flag) {
    const bool value_apart = flag.metavar != nullptr && optarg == argv[optind - 1];
    return argv[optind - (value_apart ? 2 : 1)];
  }

  const Flag* row_of(int found, int index) const {
    if (found == 0) return rows_[static_cast<std::size_t>(index)];
    return *std::find_if(rows_.begin(), rows_.end(),
                         [&](const Flag* flag) { return flag->letter == found; });
  }

  Result<void> take(const Flag& flag, Invocation& into) const {
    std::vector<std::string>& values = into.values[flag.name];
    if (flag.metavar == nullptr) {
      values = {"true"};
      return {};
    }
    if (!flag.repeatable && !values.empty() && values.back() != optarg) {
      return usage_error(verb_, "`--" + std::string(flag.name) + "` was given twice, as `" +
                                    printable(values.back()) + "` and as `" + printable(optarg) +
                                    "`");
    }
    values.emplace_back(optarg);
    return {};
  }

  Failure explain(const std::string& typed, int found) const {
    if (found == ':') return usage_error(verb_, "`" + printable(typed) + "` needs a value");
    if (typed.compare(0, 2, "--") != 0) {
      return usage_error(
          verb_, "unknown flag `-" + printable(std::string(1, static_cast<char>(optopt))) + "`");
    }
    const std::string name = typed.substr(2, typed.find('=') - 2);
    std::vector<std::string> known(rows_.size());
    std::transform(rows_.begin(), rows_.end(), known.begin(),
                   [](const Flag* flag) { return flag->name; });
    if (std::find(known.begin(), known.end(), name) != known.end()) {
      return usage_error(verb_, "`--" + name + "` takes no value");
    }
    return usage_error(verb_,
                       "unknown flag `" + printable(typed) + "`" + suggestion(name, known, "--"));
  }

  const Verb* verb_;
  std::vector<const Flag*> rows_;
  std::string letters_;
  std::vector<option> long_;
};

// Each operand ends a run of flags, and another one may follow; what stands after `--` is the command.
Result<void> parse_mixed(int argc, char** argv, Invocation& into) {
  Options options(into.verb, true);
  ::optind = 0;
  while (true) {
    const Result<bool> dashes = options.parse(argc, argv, into);
    if (!dashes) return fail(dashes.error());
    if (*dashes) into.command.assign(argv + ::optind, argv + argc);
    if (*dashes || ::optind >= argc) return {};
    into.operands.emplace_back(argv[::optind++]);
  }
}

Failure unknown_verb(const std::string& typed) {
  std::vector<std::string> known;
  for (const Verb& verb : verbs()) known.emplace_back(verb.name);
  return usage_error(nullptr,
                     "unknown verb `" + printable(typed) + "`" + suggestion(typed, known, ""));
}

}  // namespace

const Verb* find_verb(const std::string& name) {
  const auto& all = verbs();
  const auto row =
      std::find_if(all.begin(), all.end(), [&](const Verb& verb) { return name == verb.name; });
  return row == all.end() ? nullptr : &*row;
}

std::vector<const Flag*> flags_of(const Verb* verb) {
  std::vector<const Flag*> rows;
  for (const Flag& flag : flags()) {
    const bool global = flag.verbs[0] == '\0';
    if (verb == nullptr ? global : (!global && names_verb(flag, *verb))) rows.push_back(&flag);
  }
  return rows;
}

std::optional<std::string> Invocation::last(const std::string& flag) const {
  const auto found = values.find(flag);
  if (found == values.end()) return std::nullopt;
  return found->second.back();
}

std::vector<std::string> Invocation::all(const std::string& flag) const {
  const auto found = values.find(flag);
  return found == values.end() ? std::vector<std::string>() : found->second;
}

Result<Invocation> parse_command_line(int argc, char** argv) {
  Invocation invocation;
  ::optind = 0;  // a fresh start of getopt, whatever it scanned before
  if (Result<bool> parsed = Options(nullptr, true).parse(argc, argv, invocation); !parsed)
    return fail(parsed.error());
  if (::optind >= argc) return invocation;

  const int verb_at = ::optind;
  invocation.verb = find_verb(argv[verb_at]);
  if (invocation.verb == nullptr) return unknown_verb(argv[verb_at]);
  if (invocation.verb->in_python) {
    invocation.operands.assign(argv + verb_at + 1, argv + argc);
    return invocation;
  }
  if (invocation.verb->command == Command::after_dashes) {
    if (Result<void> parsed = parse_mixed(argc - verb_at, argv + verb_at, invocation); !parsed)
      return fail(parsed.error());
    return invocation;
  }
  Options options(invocation.verb, invocation.verb->command == Command::all);
  ::optind = 0;
  if (Result<bool> parsed = options.parse(argc - verb_at, argv + verb_at, invocation); !parsed)
    return fail(parsed.error());
  invocation.operands.assign(argv + verb_at + ::optind, argv + argc);
  return invocation;
}

}  // namespace gpuctl::app
