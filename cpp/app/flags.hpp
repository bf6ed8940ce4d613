// The command line as data: one row per verb, one row per flag. Parsing, help, man page, shell completions and
// the Python verbs' parsers are made from these rows and from nothing else.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl::app {

// What follows the flags. `all`: the first operand begins a command, whose own flags are not ours. `after_dashes`: operands
// and flags in any order, and a command after `--`.
enum class Command { none, all, after_dashes };

struct Verb {
  const char* name;
  bool in_python;        // a sibling executable `gpuctl-NAME`
  const char* operands;  // "[--] COMMAND [ARGUMENT…]", "" for none
  Command command;
  const char* summary;      // one line
  const char* description;  // what a newcomer needs, paragraphs separated by an empty line
  const char* examples;     // lines "command  # what it does"
};

struct Flag {
  const char* name;     // without dashes
  char letter;          // 0: none
  const char* metavar;  // nullptr: a switch
  const char* verbs;    // names separated by commas; "" is global: before or after any verb
  bool repeatable;
  const char* help;
};

const std::vector<Verb>& verbs();
const std::vector<Flag>& flags();

const Verb* find_verb(const std::string& name);

// The verb's own flags; the global ones are those with no verb (nullptr).
std::vector<const Flag*> flags_of(const Verb* verb);

struct ExitCode {
  int code;
  const char* meaning;
};
const std::vector<ExitCode>& exit_codes();

// What was typed. Values keep the order in which they were given; a switch has the value "true".
struct Invocation {
  const Verb* verb = nullptr;
  std::map<std::string, std::vector<std::string>> values;
  std::vector<std::string> operands;
  std::vector<std::string> command;  // after `--`, of a verb with Command::after_dashes

  bool has(const std::string& flag) const { return values.count(flag) != 0; }
  std::optional<std::string> last(const std::string& flag) const;
  std::vector<std::string> all(const std::string& flag) const;
};

// ErrorCode::usage with what to type instead. A Python verb's own arguments are not looked at: they are its operands.
Result<Invocation> parse_command_line(int argc, char** argv);

}  // namespace gpuctl::app
