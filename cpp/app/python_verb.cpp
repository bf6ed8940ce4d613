#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>

#include "gpuctl/base/host_paths.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

// The directory of this very file, whatever name it was called by. PATH is never searched.
std::string own_directory() {
  std::array<char, PATH_MAX> path;  // NOLINT: filled by readlink(2)
  const ssize_t length = ::readlink(host_paths::kLiveSelfExe, path.data(), path.size());
  if (length <= 0) return "";
  const std::string text(path.data(), static_cast<std::size_t>(length));
  return text.substr(0, text.rfind('/'));
}

// Global flags before the verb travel as variables: the sibling parses only what follows the verb.
void hand_on(const Invocation& invocation) {
  for (const auto& [name, values] : invocation.values) {
    std::string variable = "GPUCTL_";
    for (const char c : name)
      variable += c == '-' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    ::setenv(variable.c_str(), values.back().c_str(), 1);
  }
}

}  // namespace

int exec_python_verb(const Invocation& invocation) {
  const std::string sibling = own_directory() + "/gpuctl-" + invocation.verb->name;
  hand_on(invocation);
  std::vector<char*> arguments{const_cast<char*>(sibling.c_str())};  // NOLINT: execv's type
  for (const std::string& operand : invocation.operands)
    arguments.push_back(const_cast<char*>(operand.c_str()));  // NOLINT
  arguments.push_back(nullptr);
  ::execv(sibling.c_str(), arguments.data());
  if (errno == ENOENT) {
    complain(
        std::string("the verb `") + invocation.verb->name +
        "` belongs to the Python part, which is not installed here: `pip install jalien-gpuctl`");
    return 2;
  }
  return complain(system_error(errno, sibling, "cannot execute"), 3);
}

}  // namespace gpuctl::app
