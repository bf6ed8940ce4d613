#include "help.hpp"

#include <algorithm>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::app {
namespace {

std::string pad(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text;
}

std::string spelled(const Flag& flag) {
  std::string text = flag.letter != 0 ? std::string("-") + flag.letter + ", " : "    ";
  text += std::string("--") + flag.name;
  if (flag.metavar != nullptr) text += std::string(" ") + flag.metavar;
  return text;
}

std::string flag_lines(const std::vector<const Flag*>& rows) {
  std::size_t width = 0;
  for (const Flag* flag : rows) width = std::max(width, spelled(*flag).size());
  std::string text;
  for (const Flag* flag : rows) {
    text += "  " + pad(spelled(*flag), width + 2) + flag->help +
            (flag->repeatable ? " (repeatable)" : "") + "\n";
  }
  return text;
}

std::string indent(const std::string& lines) {
  std::string text;
  for (const std::string_view line : split(lines, '\n')) text += "  " + std::string(line) + "\n";
  return text;
}

std::string synopsis(const Verb& verb) {
  return std::string("gpuctl ") + verb.name + " [FLAGS]" + (verb.operands[0] != '\0' ? " " : "") +
         verb.operands;
}

}  // namespace

std::string help_text() {
  std::string text = "gpuctl " GPUCTL_VERSION
                     ": GPUs and jobs on a worker node\n\nusage: gpuctl VERB [FLAGS] ...\n\n";
  for (const Verb& verb : verbs()) text += "  " + pad(verb.name, 13) + verb.summary + "\n";
  text += "\nflags of every verb, before or after it:\n" + flag_lines(flags_of(nullptr));
  text += "\nexit codes:\n";
  for (const ExitCode& exit : exit_codes())
    text += "  " + pad(std::to_string(exit.code), 5) + exit.meaning + "\n";
  return text + "\n`gpuctl VERB --help` explains a verb.\n";
}

std::string help_text(const Verb& verb) {
  std::string text = std::string("gpuctl ") + verb.name + ": " + verb.summary +
                     "\n\nusage: " + synopsis(verb) + "\n\n";
  text += std::string(verb.description) + "\n";
  const std::vector<const Flag*> own = flags_of(&verb);
  if (!own.empty()) text += "\nflags:\n" + flag_lines(own);
  text += "\nflags of every verb:\n" + flag_lines(flags_of(nullptr));
  return text + "\nexamples:\n" + indent(verb.examples);
}

}  // namespace gpuctl::app
