#include <string>

#include "bindings.hpp"
#include "errors.hpp"
#include "flags.hpp"

namespace py = pybind11;

namespace gpuctl::bindings {
namespace {

py::dict row_of(const app::Flag& flag) {
  py::dict row;
  row["name"] = flag.name;
  row["letter"] = flag.letter == 0 ? std::string() : std::string(1, flag.letter);
  row["metavar"] =
      flag.metavar == nullptr ? py::object(py::none()) : py::object(py::str(flag.metavar));
  row["repeatable"] = flag.repeatable;
  row["is_global"] = flag.verbs[0] == '\0';
  row["help"] = flag.help;
  return row;
}

// The verb's own flags, then those of every verb.
py::list flags(const std::string& verb_name) {
  const app::Verb* verb = app::find_verb(verb_name);
  if (verb == nullptr) raise(fail(ErrorCode::usage, "", "unknown verb `" + verb_name + "`").error);
  py::list rows;
  for (const app::Verb* owner : {verb, static_cast<const app::Verb*>(nullptr)}) {
    for (const app::Flag* flag : app::flags_of(owner)) rows.append(row_of(*flag));
  }
  return rows;
}

py::list exit_codes() {
  py::list rows;
  for (const app::ExitCode& each : app::exit_codes()) {
    py::dict row;
    row["code"] = each.code;
    row["meaning"] = each.meaning;
    rows.append(row);
  }
  return rows;
}

}  // namespace

void bind_app(py::module_& module) {
  module.def("flags", &flags, py::arg("verb"));
  module.def("exit_codes", &exit_codes);
}

}  // namespace gpuctl::bindings
