// Text in columns, for people.
#pragma once

#include <string>
#include <vector>

namespace gpuctl::app {

using Row = std::vector<std::string>;

// Columns as wide as their widest cell; no blanks at the end of a line. `rows` has at least one, all of the same length.
std::string align(const std::vector<Row>& rows);

}  // namespace gpuctl::app
