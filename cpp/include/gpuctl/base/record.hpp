// Record: a small file of `key=value` lines with a version and a checksum, replaced by rename.
//
//   gpuctl job 1
//   id=1234
//   argv.0=/bin/true
//   checksum=8f0e4c…
//
// The first line is "gpuctl KIND VERSION"; the checksum (FNV-1a, 64 bit) covers all before it, so that a torn or
// edited file is malformed and never half-believed. Values may hold any byte: '%', line ends and control
// characters are written as %HH. Readers ignore keys that they do not know; a higher version is
// ErrorCode::unsupported, because its meaning may have changed: such a file is left alone.
//
// A reader sees the old file or the new one, never a mixture (rename(2)). There is no fsync: every record
// carries the boot id and means nothing after a reboot, and its place is a tmpfs by default.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/result.hpp"

namespace gpuctl {

class Record {
 public:
  Record(std::string kind, unsigned version) : kind_(std::move(kind)), version_(version) {
    lines_.reserve(kUsualBytes);
  }

  const std::string& kind() const { return kind_; }
  unsigned version() const { return version_; }

  // Replaces the value of `key`; keys are [a-z0-9_.]+ and keep the order of their first setting.
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, std::uint64_t value) { set(key, std::to_string(value)); }

  // The same for a key that is not there yet, which is not looked for.
  void add(std::string_view key, std::string_view value);
  void add(std::string_view key, std::uint64_t value);

  // The same for the key GROUP.NAME.
  void add(std::string_view group, std::string_view name, std::string_view value);
  void add(std::string_view group, std::string_view name, std::uint64_t value);
  void set_list(const std::string& key,
                const std::vector<std::string>& values);  // key.0, key.1, ...

  std::optional<std::string> find(std::string_view key) const;
  std::vector<std::string> find_list(const std::string& key) const;

  // The value, or ErrorCode::malformed naming the key when it is missing or no number.
  Result<std::string> get(const std::string& key) const;
  Result<std::uint64_t> get_unsigned(const std::string& key) const;

  std::string to_text() const;
  static Result<Record> from_text(std::string_view text, const std::string& kind,
                                  unsigned max_version, const std::string& path);

 private:
  static constexpr std::size_t kUsualBytes = 512;

  std::optional<std::string_view> find_escaped(std::string_view key) const;
  void end_line(std::string_view value);  // "=value\n" behind the key
  void end_line(std::uint64_t value);

  std::string kind_;
  unsigned version_;
  std::string lines_;  // "key=value\n", values escaped
};

// Writes `name` in the directory `dir_fd`: a temporary file of mode 0600, then rename.
Result<void> write_record(int dir_fd, const std::string& name, const Record& record);

// ErrorCode::not_found when there is no file; malformed or unsupported as above.
Result<Record> read_record(int dir_fd, const std::string& name, const std::string& kind,
                           unsigned max_version);

// Replaces `name` in `dir_fd` by `text` the same way: for files that others read while we write (report.json).
Result<void> replace_file(int dir_fd, const std::string& name, std::string_view text,
                          unsigned mode = 0600);

}  // namespace gpuctl
