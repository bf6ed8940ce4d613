#include "help.hpp"
#include "verbs.hpp"

namespace gpuctl::app {

int run_help(const Invocation& invocation) {
  if (invocation.has("help")) return print(help_text(*invocation.verb), 0);
  if (invocation.has("man")) return print(man_page(), 0);
  if (const std::optional<std::string> shell = invocation.last("completion")) {
    if (*shell == "bash") return print(bash_completion(), 0);
    if (*shell == "zsh") return print(zsh_completion(), 0);
    complain("no completion for `" + *shell + "`: bash and zsh are there");
    return 2;
  }
  if (invocation.operands.empty()) return print(help_text(), 0);
  const Verb* verb = find_verb(invocation.operands[0]);
  if (verb != nullptr) return print(help_text(*verb), 0);
  complain("unknown verb `" + invocation.operands[0] + "`; see `gpuctl help`");
  return 2;
}

}  // namespace gpuctl::app
