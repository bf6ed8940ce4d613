#include "attributes.hpp"

#include <limits>

#include "gpuctl/base/parse.hpp"

namespace gpuctl::gpu::internal {
namespace {

// The file's text, or nothing with the reason noted.
std::optional<std::string> present_text(const Dir& dir, const char* name, ProblemSink& problems) {
  Result<std::string> text = dir.read_attribute(name);
  if (text) return std::move(*text);
  if (text.error().code != ErrorCode::not_found) problems.add(text.error());
  return std::nullopt;
}

template <typename T, typename Parse>
std::optional<T> read_parsed(const Dir& dir, const char* name, ProblemSink& problems, Parse parse) {
  const std::optional<std::string> text = present_text(dir, name, problems);
  if (!text) return std::nullopt;
  const Result<T> value = parse(trim(*text));
  if (value) return *value;
  Error error = value.error();
  error.path = dir.path() + "/" + name;
  problems.add(std::move(error));
  return std::nullopt;
}

}  // namespace

std::optional<std::string> read_text(const Dir& dir, const char* name, ProblemSink& problems) {
  const std::optional<std::string> text = present_text(dir, name, problems);
  if (!text) return std::nullopt;
  const std::string_view trimmed = trim(*text);
  if (trimmed.empty()) return std::nullopt;
  return std::string(trimmed);
}

std::optional<std::uint64_t> read_hex(const Dir& dir, const char* name, std::uint64_t max,
                                      ProblemSink& problems) {
  return read_parsed<std::uint64_t>(
      dir, name, problems, [&](std::string_view text) { return parse_hex(text, name, max); });
}

std::optional<std::uint64_t> read_unsigned(const Dir& dir, const char* name,
                                           ProblemSink& problems) {
  return read_parsed<std::uint64_t>(
      dir, name, problems, [&](std::string_view text) { return parse_unsigned(text, name); });
}

std::optional<std::int64_t> read_signed(const Dir& dir, const char* name, ProblemSink& problems) {
  return read_parsed<std::int64_t>(dir, name, problems,
                                   [&](std::string_view text) { return parse_signed(text, name); });
}

}  // namespace gpuctl::gpu::internal
