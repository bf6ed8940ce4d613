#include "gpuctl/base/parse.hpp"
#include "help.hpp"

namespace gpuctl::app {
namespace {

std::string words_of(const std::vector<const Flag*>& rows) {
  std::string words;
  for (const Flag* flag : rows) words += std::string(words.empty() ? "" : " ") + "--" + flag->name;
  return words;
}

std::string verb_names() {
  std::string names;
  for (const Verb& verb : verbs()) names += std::string(names.empty() ? "" : " ") + verb.name;
  return names;
}

// For a zsh specification: quotes and brackets have a meaning there.
std::string zsh_quoted(const std::string& text) {
  std::string quoted;
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else if (c == '[' || c == ']' || c == ':') {
      quoted += std::string("\\") + c;
    } else {
      quoted += c;
    }
  }
  return quoted;
}

std::string zsh_flag(const Flag& flag) {
  std::string spec = std::string(flag.repeatable ? "*" : "") + "--" + flag.name;
  if (flag.metavar != nullptr) spec += "=";
  spec += "[" + zsh_quoted(flag.help) + "]";
  if (flag.metavar != nullptr) spec += ":" + zsh_quoted(flag.metavar) + ":_files";
  return "    '" + spec + "'";
}

}  // namespace

std::string bash_completion() {
  std::string text =
      "# bash completion for gpuctl, made by `gpuctl help --completion bash`\n"
      "_gpuctl() {\n"
      "  local word=${COMP_WORDS[COMP_CWORD]} verb='' each\n"
      "  for each in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
      "    case $each in\n      " +
      [] {
        std::string names = verb_names();
        for (char& c : names) {
          if (c == ' ') c = '|';
        }
        return names;
      }() +
      ") verb=$each; break ;;\n    esac\n  done\n"
      "  local flags='" +
      words_of(flags_of(nullptr)) + "'\n  case $verb in\n";
  text += "    '') mapfile -t COMPREPLY < <(compgen -W \"$flags " + verb_names() +
          "\" -- \"$word\"); return ;;\n";
  for (const Verb& verb : verbs()) {
    const std::string own = words_of(flags_of(&verb));
    if (!own.empty())
      text += std::string("    ") + verb.name + ") flags=\"$flags " + own + "\" ;;\n";
  }
  text +=
      "  esac\n"
      "  if [[ $word == -* ]]; then mapfile -t COMPREPLY < <(compgen -W \"$flags\" -- \"$word\")\n"
      "  else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi\n"
      "}\n"
      "complete -o filenames -F _gpuctl gpuctl\n";
  return text;
}

std::string zsh_completion() {
  std::string text =
      "#compdef gpuctl\n# zsh completion for gpuctl, made by `gpuctl help --completion zsh`\n"
      "_gpuctl() {\n  local -a verbs global own\n  verbs=(\n";
  for (const Verb& verb : verbs())
    text += "    '" + std::string(verb.name) + ":" + zsh_quoted(verb.summary) + "'\n";
  text += "  )\n  global=(\n";
  for (const Flag* flag : flags_of(nullptr)) text += zsh_flag(*flag) + "\n";
  text +=
      "  )\n  local each verb\n  for each in ${words[2,CURRENT-1]}; do\n"
      "    if (( ${+verbs[(r)$each:*]} )); then verb=$each; break; fi\n  done\n"
      "  case $verb in\n    '') _arguments $global '*:verb:->verb'; [[ $state == verb ]] && "
      "_describe verb verbs; return ;;\n";
  for (const Verb& verb : verbs()) {
    text += std::string("    ") + verb.name + ") own=(\n";
    for (const Flag* flag : flags_of(&verb)) text += zsh_flag(*flag) + "\n";
    text += "    ) ;;\n";
  }
  return text + "  esac\n  _arguments $global $own '*:file:_files'\n}\n_gpuctl \"$@\"\n";
}

}  // namespace gpuctl::app
