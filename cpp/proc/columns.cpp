#include "columns.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "stat_fields.hpp"

namespace gpuctl::proc::internal {
namespace {

constexpr std::size_t kMaxCgroupBytes = std::size_t{1} << 16;
constexpr std::size_t kMaxEnvironmentBytes = std::size_t{8} << 20;
constexpr std::size_t kSmallBytes = 4096;

std::uint64_t usec_per_tick() {
  static const auto value = static_cast<std::uint64_t>(1'000'000 / ::sysconf(_SC_CLK_TCK));
  return value;
}

std::uint64_t page_bytes() {
  static const auto value = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return value;
}

// "H:CONTROLLERS:PATH"; the path may hold ':'.
std::optional<std::string_view> path_in_line(std::string_view line, std::string_view controllers) {
  const std::size_t first = line.find(':');
  const std::size_t second = line.find(':', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return std::nullopt;
  const std::string_view found = line.substr(first + 1, second - first - 1);
  if (controllers.empty() && line.substr(0, first) != "0") return std::nullopt;
  if (found != controllers) return std::nullopt;
  return line.substr(second + 1);
}

std::string_view next_line(std::string_view& text, char end_of_line) {
  const std::size_t end = text.find(end_of_line);
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

}  // namespace

bool fill_from_stat(std::string_view stat, Row& row) {
  StatFields fields;
  if (!scan_stat(stat, fields)) return false;
  row.pid = fields.pid;
  row.ppid = fields.ppid;
  row.pgid = fields.pgrp;
  row.sid = fields.session;
  row.threads = static_cast<std::uint32_t>(fields.threads);
  row.flags = static_cast<std::uint32_t>(fields.flags);
  row.state = fields.state;
  const std::size_t length = std::min(fields.name.size(), sizeof row.name);
  std::memcpy(row.name, fields.name.data(), length);
  std::memset(row.name + length, 0, sizeof row.name - length);
  row.start_ticks = fields.start_ticks;
  row.utime_usec = fields.utime_ticks * usec_per_tick();
  row.stime_usec = fields.stime_ticks * usec_per_tick();
  row.rss_bytes = fields.rss_pages * page_bytes();
  return true;
}

Took outcome_of_errno(int errno_value) {
  switch (errno_value) {
    case EMFILE:
    case ENFILE:
    case ENOMEM: return Took::no_resource;
    case EACCES:
    case EPERM: return Took::forbidden;
    default: return Took::gone;  // ENOENT, ESRCH; in a recording whatever is no such file
  }
}

std::int32_t TextTable::index_of(std::string_view text) {
  const auto known = numbers_.find(text);
  if (known != numbers_.end()) return known->second;
  const auto number = static_cast<std::int32_t>(texts_.size());
  texts_.emplace_back(text);
  numbers_.emplace(text, number);
  return number;
}

std::optional<std::string_view> cgroup_in(std::string_view cgroup_file) {
  std::optional<std::string_view> memory;
  while (!cgroup_file.empty()) {
    const std::string_view line = next_line(cgroup_file, '\n');
    if (const auto unified = path_in_line(line, "")) return unified;
    if (const auto found = path_in_line(line, "memory")) memory = found;
  }
  return memory;
}

std::optional<std::string_view> variable_in(std::string_view environment, std::string_view name) {
  while (!environment.empty()) {
    const std::string_view entry = next_line(environment, '\0');
    if (entry.size() > name.size() && entry[name.size()] == '=' &&
        entry.substr(0, name.size()) == name)
      return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_behind(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    std::string_view line = next_line(text, '\n');
    if (line.substr(0, key.size()) != key) continue;
    line.remove_prefix(key.size());
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    std::uint64_t number = 0;
    const auto result = std::from_chars(line.data(), line.data() + line.size(), number);
    if (result.ec != std::errc()) return std::nullopt;
    return number;
  }
  return std::nullopt;
}

OptionalColumns::OptionalColumns(const SnapshotOptions& options, Snapshot& into)
    : options_(options), cgroups_(into.cgroups), markers_(into.markers) {}

void OptionalColumns::read(ProcDir& proc, Row& row) {
  if (options_.cgroup) read_cgroup(proc, row);
  if (!options_.marker.empty()) read_marker(proc, row);
  if (options_.pss) read_pss(proc, row);
  if (options_.io) read_io(proc, row);
}

void OptionalColumns::read_cgroup(ProcDir& proc, Row& row) {
  const auto text = proc.read(row.pid, "cgroup", kMaxCgroupBytes);
  const auto path = text ? cgroup_in(*text) : std::nullopt;
  if (!path) return;
  row.cgroup = cgroups_.index_of(*path);
  row.known |= kKnowsCgroup;
}

void OptionalColumns::read_marker(ProcDir& proc, Row& row) {
  const auto text = proc.read(row.pid, "environ", kMaxEnvironmentBytes);
  if (!text) return;
  row.known |= kKnowsMarker;
  if (const auto value = variable_in(*text, options_.marker))
    row.marker = markers_.index_of(*value);
}

// A kernel thread and a zombie have no memory: the file is empty or ends with ESRCH.
void OptionalColumns::read_pss(ProcDir& proc, Row& row) {
  const auto text = proc.read(row.pid, "smaps_rollup", kSmallBytes);
  const auto kib = text ? number_behind(*text, "Pss:") : std::nullopt;
  if (!kib) return;
  row.pss_bytes = *kib * 1024;
  row.known |= kKnowsPss;
}

void OptionalColumns::read_io(ProcDir& proc, Row& row) {
  const auto text = proc.read(row.pid, "io", kSmallBytes);
  const auto read = text ? number_behind(*text, "read_bytes:") : std::nullopt;
  const auto written = text ? number_behind(*text, "write_bytes:") : std::nullopt;
  if (!read || !written) return;
  row.read_bytes = *read;
  row.write_bytes = *written;
  row.known |= kKnowsIo;
}

}  // namespace gpuctl::proc::internal
