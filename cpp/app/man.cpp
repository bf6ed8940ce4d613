#include "gpuctl/base/parse.hpp"
#include "help.hpp"

namespace gpuctl::app {
namespace {

// Text for troff: '-' is a hyphen and a leading '.' or '\'' is a request, unless escaped.
std::string troff(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '\\' || c == '-') escaped += '\\';
    if ((c == '.' || c == '\'') && (escaped.empty() || escaped.back() == '\n')) escaped += "\\&";
    escaped += c;
  }
  return escaped;
}

std::string flag_entry(const Flag& flag) {
  std::string name = flag.letter != 0 ? std::string("\\fB\\-") + flag.letter + "\\fR, " : "";
  name += R"(\fB\-\-)" + troff(flag.name) + "\\fR";
  if (flag.metavar != nullptr) name += " \\fI" + troff(flag.metavar) + "\\fR";
  return ".TP\n" + name + "\n" + troff(flag.help) + "\n";
}

std::string verb_section(const Verb& verb) {
  std::string text = ".SS gpuctl " + troff(verb.name) + " " + troff(verb.operands) + "\n";
  text += troff(verb.summary) + ".\n.PP\n" + troff(verb.description) + "\n";
  for (const Flag* flag : flags_of(&verb)) text += flag_entry(*flag);
  return text + ".PP\n.nf\n" + troff(verb.examples) + "\n.fi\n";
}

}  // namespace

std::string man_page() {
  std::string text = ".TH GPUCTL 1 \"\" \"gpuctl " GPUCTL_VERSION "\"\n";
  text += ".SH NAME\ngpuctl \\- GPUs and jobs on a worker node\n";
  text += ".SH SYNOPSIS\n.B gpuctl\n\\fIVERB\\fR [\\fIFLAGS\\fR] ...\n";
  text += ".SH VERBS\n";
  for (const Verb& verb : verbs()) text += verb_section(verb);
  text += ".SH FLAGS OF EVERY VERB\n";
  for (const Flag* flag : flags_of(nullptr)) text += flag_entry(*flag);
  text += ".SH EXIT STATUS\n";
  for (const ExitCode& exit : exit_codes()) {
    text += ".TP\n\\fB" + std::to_string(exit.code) + "\\fR\n" + troff(exit.meaning) + "\n";
  }
  return text;
}

}  // namespace gpuctl::app
