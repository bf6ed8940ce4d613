#include "gpuctl/base/record.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/random.hpp"

namespace gpuctl {
namespace {

constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 20;
constexpr std::string_view kChecksumKey = "checksum=";

// FNV-1a, 64 bit: finds torn and edited files; it is no defence against a forger, the file's owner is.
std::string checksum(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::string digits(16, '0');
  for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit, hash >>= 4)
    *digit = kHex[hash & 15];
  return digits;
}

bool must_escape(char c) { return c == '%' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

void append_escaped(std::string& text, std::string_view value) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto plain = static_cast<std::size_t>(
      std::find_if(value.begin(), value.end(), must_escape) - value.begin());
  text.append(value.data(), plain);
  for (const char c : value.substr(plain)) {
    const auto byte = static_cast<unsigned char>(c);
    if (must_escape(c)) {
      text += {'%', kHex[byte >> 4], kHex[byte & 15]};
    } else {
      text += c;
    }
  }
}

std::optional<std::string> unescape(std::string_view text) {
  std::string value;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      value += text[i];
      continue;
    }
    const Result<std::uint64_t> byte = parse_unsigned(text.substr(i + 1, 2), "escape", 16, 255);
    if (!byte || i + 2 >= text.size()) return std::nullopt;
    value += static_cast<char>(*byte);
    i += 2;
  }
  return value;
}

Failure malformed(const std::string& path, const std::string& detail) {
  return fail(ErrorCode::malformed, path, "not a whole record: " + detail);
}

// "gpuctl KIND VERSION" -> the version.
Result<unsigned> parse_header(std::string_view line, const std::string& kind, unsigned max_version,
                              const std::string& path) {
  const std::vector<std::string_view> words = split(line, ' ');
  if (words.size() != 3 || words[0] != "gpuctl" || words[1] != kind) {
    return malformed(path, "expected `gpuctl " + kind + " VERSION` in the first line");
  }
  const Result<std::uint64_t> version = parse_unsigned(words[2], "version", 10, 1'000'000);
  if (!version) return malformed(path, version.error().detail);
  if (*version > max_version) {
    return fail(ErrorCode::unsupported, path,
                "version " + std::to_string(*version) + " is newer than this gpuctl knows (" +
                    std::to_string(max_version) + ")");
  }
  return static_cast<unsigned>(*version);
}

// Cuts the checksum line off `text` and checks it.
Result<std::string_view> verified_body(std::string_view text, const std::string& path) {
  const std::size_t at = text.rfind(kChecksumKey);
  if (at == std::string_view::npos || at == 0 || text[at - 1] != '\n')
    return malformed(path, "no checksum line");
  const std::string_view body = text.substr(0, at);
  if (text.substr(at + kChecksumKey.size()) != checksum(body) + "\n")
    return malformed(path, "the checksum is wrong");
  return body;
}

}  // namespace

void Record::set(std::string_view key, std::string_view value) {
  if (const std::optional<std::string_view> before = find_escaped(key)) {
    std::string escaped;
    append_escaped(escaped, value);
    lines_.replace(static_cast<std::size_t>(before->data() - lines_.data()), before->size(),
                   escaped);
    return;
  }
  add(key, value);
}

void Record::add(std::string_view key, std::string_view value) {
  lines_ += key;
  end_line(value);
}

void Record::add(std::string_view key, std::uint64_t value) {
  lines_ += key;
  end_line(value);
}

void Record::add(std::string_view group, std::string_view name, std::string_view value) {
  ((lines_ += group) += '.') += name;
  end_line(value);
}

void Record::add(std::string_view group, std::string_view name, std::uint64_t value) {
  ((lines_ += group) += '.') += name;
  end_line(value);
}

void Record::end_line(std::string_view value) {
  append_escaped(lines_ += '=', value);
  lines_ += '\n';
}

void Record::end_line(std::uint64_t value) {
  std::array<char, 20> digits;  // NOLINT: filled by to_chars
  char* const first = digits.data();
  const char* end = std::to_chars(first, first + digits.size(), value).ptr;
  (lines_ += '=').append(first, static_cast<std::size_t>(end - first)) += '\n';
}

void Record::set_list(const std::string& key, const std::vector<std::string>& values) {
  for (std::size_t i = 0; i < values.size(); ++i) set(key + "." + std::to_string(i), values[i]);
}

std::optional<std::string_view> Record::find_escaped(std::string_view key) const {
  std::string_view rest = lines_;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    if (line.size() > key.size() && line[key.size()] == '=' && line.substr(0, key.size()) == key)
      return line.substr(key.size() + 1);
    rest.remove_prefix(line.size() + 1);
  }
  return std::nullopt;
}

std::optional<std::string> Record::find(std::string_view key) const {
  const std::optional<std::string_view> value = find_escaped(key);
  return value ? unescape(*value) : std::nullopt;
}

std::vector<std::string> Record::find_list(const std::string& key) const {
  std::vector<std::string> values;
  while (std::optional<std::string> value = find(key + "." + std::to_string(values.size()))) {
    values.push_back(std::move(*value));
  }
  return values;
}

Result<std::string> Record::get(const std::string& key) const {
  std::optional<std::string> value = find(key);
  if (!value) return malformed(kind_ + " record", "no `" + key + "`");
  return std::move(*value);
}

Result<std::uint64_t> Record::get_unsigned(const std::string& key) const {
  const Result<std::string> value = get(key);
  if (!value) return fail(value.error());
  return parse_unsigned(*value, key);
}

std::string Record::to_text() const {
  std::string text = "gpuctl ";
  text.reserve(lines_.size() + 64);
  ((text += kind_) += ' ') += std::to_string(version_);
  (text += '\n') += lines_;
  const std::string sum = checksum(text);
  ((text += kChecksumKey) += sum) += '\n';
  return text;
}

Result<Record> Record::from_text(std::string_view text, const std::string& kind,
                                 unsigned max_version, const std::string& path) {
  const Result<std::string_view> body = verified_body(text, path);
  if (!body) return fail(body.error());
  std::vector<std::string_view> lines = split(*body, '\n');
  const Result<unsigned> version = parse_header(lines.front(), kind, max_version, path);
  if (!version) return fail(version.error());

  Record record(kind, *version);
  for (std::size_t i = 1; i + 1 < lines.size(); ++i) {
    const std::size_t equals = lines[i].find('=');
    if (equals == std::string_view::npos) return malformed(path, "a line without `=`");
    if (!unescape(lines[i].substr(equals + 1))) return malformed(path, "a bad escape");
    (record.lines_ += lines[i]) += '\n';
  }
  return record;
}

Result<void> replace_file(int dir_fd, const std::string& name, std::string_view text,
                          unsigned mode) {
  const std::string temporary = "." + name + "." + random_suffix();
  const Result<Fd> fd = open_at(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (!fd) return fail(fd.error());
  if (mode != 0600) ::fchmod(fd->get(), mode);  // whatever the umask is
  const Result<void> written = write_all(fd->get(), text, name);
  if (written && ::renameat(dir_fd, temporary.c_str(), dir_fd, name.c_str()) == 0) return {};
  Error error =
      written ? system_error(errno, name, "cannot put the new file in its place") : written.error();
  ::unlinkat(dir_fd, temporary.c_str(), 0);
  return fail(std::move(error));
}

Result<void> write_record(int dir_fd, const std::string& name, const Record& record) {
  return replace_file(dir_fd, name, record.to_text());
}

Result<Record> read_record(int dir_fd, const std::string& name, const std::string& kind,
                           unsigned max_version) {
  const Result<Fd> fd = open_at(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) return fail(fd.error());
  const Result<std::string> text = read_all(fd->get(), kMaxRecordBytes, name);
  if (!text) return fail(text.error());
  return Record::from_text(*text, kind, max_version, name);
}

}  // namespace gpuctl
