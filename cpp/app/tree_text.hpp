// A tree of processes for people: one line each, drawn as pstree(1) does.
#pragma once

#include <string>

#include "gpuctl/proc/tree.hpp"

namespace gpuctl::app {

// `unicode`: with line-drawing characters, else in ASCII. No line for an empty tree but the headings.
std::string tree_text(const proc::Tree& tree, bool unicode);

}  // namespace gpuctl::app
