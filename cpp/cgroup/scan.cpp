#include "scan.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include "gpuctl/base/digits.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::cgroup::internal {
namespace {

struct Key {
  std::string_view name;
  Field field;
};

bool is_behind(std::string_view line, std::string_view name) {
  return line.size() > name.size() && line[name.size()] == ' ' && line[0] == name[0] &&
         std::memcmp(line.data(), name.data(), name.size()) == 0;
}

// The digits that `text` begins with, taken off it. False where there are none, or where they need more than 64 bits.
bool take_digits(std::string_view& text, std::uint64_t& value) {
  std::uint64_t number = 0;
  const char* const rest = read_digits(text.data(), text.data() + text.size(), number);
  if (rest == nullptr || rest == text.data()) return false;
  value = number;
  text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
  return true;
}

// Lines "NAME VALUE" in any order, though the kernel's is that of `keys`; done when each key was met once.
template <std::size_t N>
void scan_keys(std::string_view text, const Key (&keys)[N], Usage& usage,
               std::uint64_t divisor = 1) {
  std::size_t left = N;
  std::size_t next = 0;  // key that is likely to come
  while (!text.empty() && left > 0) {
    const std::string_view line = take_until(text, '\n');
    for (std::size_t tried = 0; tried < N; ++tried) {
      const Key& key = keys[next];
      next = next + 1 == N ? 0 : next + 1;
      if (!is_behind(line, key.name)) continue;
      --left;
      if (const auto value = whole_number(line.substr(key.name.size() + 1)))
        usage.set(key.field, *value / divisor);
      break;
    }
  }
}

// A literal, so that it is compared without a call.
template <std::size_t N>
bool begins_with(std::string_view text, const char (&name)[N]) {
  return text.size() >= N - 1 && std::memcmp(text.data(), name, N - 1) == 0;
}

// "NAME=VALUE" at the beginning of `text`: the value and what follows it.
template <std::size_t N, typename Number>
bool take_value(std::string_view& text, const char (&name)[N], Number& value) {
  if (!begins_with(text, name)) return false;
  text.remove_prefix(N - 1);
  std::uint64_t number = 0;
  if (!take_digits(text, number) || number > std::numeric_limits<Number>::max()) return false;
  value = static_cast<Number>(number);
  return true;
}

void skip_to(std::string_view& text, std::string_view what) {
  const std::size_t at = text.find(what);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at);
}

// "avg10=23.93 avg60=5.84 avg300=1.28 total=4374760"; the kernel always writes two decimals.
void scan_pressure_line(std::string_view line, Field average, Field total, Usage& usage) {
  std::uint32_t whole = 0;
  std::uint32_t hundredths = 0;
  if (take_value(line, "avg10=", whole) && take_value(line, ".", hundredths) && hundredths < 100)
    usage.set_percent(average, whole + hundredths / 100.0);
  skip_to(line, "total=");
  std::uint64_t usec = 0;
  if (take_value(line, "total=", usec) && line.empty()) usage.set(total, usec);
}

void scan_pressure(std::string_view text, Field first, Usage& usage) {
  const auto field = [&](int offset) {
    return static_cast<Field>(static_cast<std::uint8_t>(first) + offset);
  };
  while (!text.empty()) {
    const std::string_view line = take_until(text, '\n');
    if (begins_with(line, "some ")) scan_pressure_line(line.substr(5), field(0), field(1), usage);
    if (begins_with(line, "full ")) scan_pressure_line(line.substr(5), field(2), field(3), usage);
  }
}

bool take_device(std::string_view& line, IoDevice& device) {
  return take_value(line, "", device.major) && take_value(line, ":", device.minor) &&
         (line.empty() || line.front() == ' ');
}

// "rbytes=413696 wbytes=8192 rios=6 wios=1 dbytes=0 dios=0"; what newer kernels add is passed over. A device that has
// done nothing may have no number at all. False where one of ours is no number.
bool scan_device(std::string_view line, IoDevice& device) {
  const auto take = [&](const auto& name, std::uint64_t& into) {
    return take_value(line, name, into) && (line.empty() || line.front() == ' ');
  };
  for (; !line.empty(); skip_to(line, " ")) {
    line.remove_prefix(1);  // the blank
    if (begins_with(line, "rbytes=") && !take("rbytes=", device.read_bytes)) return false;
    if (begins_with(line, "wbytes=") && !take("wbytes=", device.write_bytes)) return false;
    if (begins_with(line, "rios=") && !take("rios=", device.reads)) return false;
    if (begins_with(line, "wios=") && !take("wios=", device.writes)) return false;
  }
  return true;
}

void set_sum(Into into, Field field, std::uint64_t IoDevice::* member) {
  std::uint64_t sum = 0;
  for (const IoDevice& each : into.devices) {
    if (__builtin_add_overflow(sum, each.*member, &sum)) return;
  }
  into.usage.set(field, sum);
}

IoDevice& device_in(std::vector<IoDevice>& devices, const IoDevice& wanted) {
  for (IoDevice& each : devices) {
    if (each.major == wanted.major && each.minor == wanted.minor) return each;
  }
  devices.push_back(wanted);
  return devices.back();
}

// "8:0 Read 4096" for each device and kind, and "Total N" at the end. False where the file is something else.
bool scan_v1_io(std::string_view text, Into into, std::uint64_t IoDevice::* read,
                std::uint64_t IoDevice::* write) {
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    if (is_behind(line, "Total")) continue;
    IoDevice found;
    if (!take_device(line, found) || line.empty()) return false;
    line.remove_prefix(1);
    if (line.find(' ') == std::string_view::npos) return false;
    const bool reads = is_behind(line, "Read");
    if (!reads && !is_behind(line, "Write")) continue;
    const auto value = whole_number(line.substr(reads ? 5 : 6));
    if (!value) return false;
    device_in(into.devices, found).*(reads ? read : write) = *value;
  }
  return true;
}

}  // namespace

std::optional<std::uint64_t> whole_number(std::string_view text) {
  std::uint64_t value = 0;
  if (!take_digits(text, value)) return std::nullopt;
  const bool ends = text.empty() || (text.size() == 1 && text.front() == '\n');
  return ends ? std::optional(value) : std::nullopt;
}

void scan_cpu_stat(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {{"usage_usec", Field::cpu_usage},
                                  {"user_usec", Field::cpu_user},
                                  {"system_usec", Field::cpu_system},
                                  {"nr_periods", Field::cpu_periods},
                                  {"nr_throttled", Field::cpu_throttled_periods},
                                  {"throttled_usec", Field::cpu_throttled}};
  scan_keys(text, kKeys, into.usage);
}

void scan_memory_stat(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {{"anon", Field::memory_anon},
                                  {"file", Field::memory_file},
                                  {"kernel", Field::memory_kernel},
                                  {"shmem", Field::memory_shmem}};
  scan_keys(text, kKeys, into.usage);
}

void scan_memory_events(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {
      {"low", Field::event_low},           {"high", Field::event_high},
      {"max", Field::event_max},           {"oom", Field::event_oom},
      {"oom_kill", Field::event_oom_kill}, {"oom_group_kill", Field::event_oom_group_kill}};
  scan_keys(text, kKeys, into.usage);
}

void scan_memory_events_local(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {{"low", Field::local_event_low},
                                  {"high", Field::local_event_high},
                                  {"max", Field::local_event_max},
                                  {"oom", Field::local_event_oom},
                                  {"oom_kill", Field::local_event_oom_kill},
                                  {"oom_group_kill", Field::local_event_oom_group_kill}};
  scan_keys(text, kKeys, into.usage);
}

void scan_pids_events(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {{"max", Field::pids_max_events}};
  scan_keys(text, kKeys, into.usage);
}

void scan_io_stat(std::string_view text, Into into) {
  while (!text.empty()) {
    std::string_view line = take_until(text, '\n');
    IoDevice device;
    if (!take_device(line, device) || !scan_device(line, device)) return into.devices.clear();
    into.devices.push_back(device);
  }
  set_sum(into, Field::io_read, &IoDevice::read_bytes);
  set_sum(into, Field::io_write, &IoDevice::write_bytes);
  set_sum(into, Field::io_reads, &IoDevice::reads);
  set_sum(into, Field::io_writes, &IoDevice::writes);
}

void scan_cpu_pressure(std::string_view text, Into into) {
  scan_pressure(text, Field::cpu_some_avg10, into.usage);
}

void scan_memory_pressure(std::string_view text, Into into) {
  scan_pressure(text, Field::memory_some_avg10, into.usage);
}

void scan_io_pressure(std::string_view text, Into into) {
  scan_pressure(text, Field::io_some_avg10, into.usage);
}

void scan_v1_cpu_stat(std::string_view text, Into into) {
  static constexpr Key kPeriods[] = {{"nr_periods", Field::cpu_periods},
                                     {"nr_throttled", Field::cpu_throttled_periods}};
  static constexpr Key kTime[] = {{"throttled_time", Field::cpu_throttled}};
  scan_keys(text, kPeriods, into.usage);
  scan_keys(text, kTime, into.usage, 1000);
}

// With all that is below the cgroup; "cache" holds shmem too, as "file" does in v2.
void scan_v1_memory_stat(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {{"total_rss", Field::memory_anon},
                                  {"total_cache", Field::memory_file},
                                  {"total_shmem", Field::memory_shmem},
                                  {"total_swap", Field::swap_current}};
  scan_keys(text, kKeys, into.usage);
}

void scan_v1_oom_control(std::string_view text, Into into) {
  static constexpr Key kKeys[] = {{"oom_kill", Field::local_event_oom_kill}};
  scan_keys(text, kKeys, into.usage);
}

void scan_v1_io_bytes(std::string_view text, Into into) {
  if (!scan_v1_io(text, into, &IoDevice::read_bytes, &IoDevice::write_bytes)) return;
  set_sum(into, Field::io_read, &IoDevice::read_bytes);
  set_sum(into, Field::io_write, &IoDevice::write_bytes);
}

void scan_v1_io_operations(std::string_view text, Into into) {
  if (!scan_v1_io(text, into, &IoDevice::reads, &IoDevice::writes)) return;
  set_sum(into, Field::io_reads, &IoDevice::reads);
  set_sum(into, Field::io_writes, &IoDevice::writes);
}

}  // namespace gpuctl::cgroup::internal
