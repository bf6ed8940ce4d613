// Everything that explains the command line, made from the tables of flags.hpp.
#pragma once

#include <string>

#include "flags.hpp"

namespace gpuctl::app {

std::string help_text();                  // `gpuctl help`
std::string help_text(const Verb& verb);  // `gpuctl VERB --help`
std::string man_page();                   // man(7) source
std::string bash_completion();
std::string zsh_completion();

}  // namespace gpuctl::app
