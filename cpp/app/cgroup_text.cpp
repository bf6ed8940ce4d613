#include "cgroup_text.hpp"

#include <array>
#include <cstdio>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::app {
namespace {

using cgroup::Field;
using cgroup::Limit;
using cgroup::Limits;
using cgroup::Resource;
using cgroup::Usage;

constexpr const char* kUnknown = "-";

std::string format(const char* pattern, double value) {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), pattern, value);
  return text.data();
}

std::string bytes_text(double bytes) {
  constexpr std::array kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return format(unit == 0 ? "%.0f " : "%.1f ", bytes) + kUnits[unit];
}

std::string bytes_text(std::optional<std::uint64_t> bytes) {
  return bytes ? bytes_text(static_cast<double>(*bytes)) : kUnknown;
}

std::string number_text(std::optional<std::uint64_t> number) {
  return number ? std::to_string(*number) : kUnknown;
}

std::string time_text(std::optional<std::uint64_t> usec) {
  return usec ? format_duration(static_cast<Usec>(*usec)) : kUnknown;
}

// v1 tells those of the cgroup alone.
std::optional<std::uint64_t> oom_kills(const Usage& usage) {
  const std::optional<std::uint64_t> kills = usage.get(Field::event_oom_kill);
  return kills ? kills : usage.get(Field::local_event_oom_kill);
}

std::string percent_text(std::optional<double> percent) {
  return percent ? format("%.1f %%", *percent) : kUnknown;
}

bool is_bytes(Resource resource) {
  const std::string name = cgroup::name_of(resource);
  return name.size() > 6 && name.compare(name.size() - 6, 6, "_bytes") == 0;
}

std::string value_text(const Limit& limit) {
  const auto value = static_cast<double>(limit.value);
  if (limit.resource == Resource::cpus) return format("%g", value / cgroup::kMicroCpus);
  if (is_bytes(limit.resource)) return bytes_text(value);
  return std::to_string(limit.value);
}

// Two columns of labels; the first one is printed only where it changes.
class Lines {
 public:
  void add(const std::string& heading, const std::string& label, const std::string& words) {
    text_ += pad(heading == heading_ ? "" : heading, 8) + (label.empty() ? "" : pad(label, 10)) +
             words + "\n";
    heading_ = heading;
  }
  std::string take() { return std::move(text_); }

 private:
  static std::string pad(const std::string& text, std::size_t width) {
    return text + std::string(width > text.size() ? width - text.size() : 1, ' ');
  }
  std::string heading_;
  std::string text_;
};

void add_place(const cgroup::Group& group, bool verbose, Lines& lines) {
  const cgroup::Branch& main = group.main();
  lines.add("cgroup", "", printable(group.path()) + " (" + group.version() + ")");
  std::string found = main.words;
  if (main.confirmed)
    found += *main.confirmed ? "; the process is in it" : "; the process is not in it";
  lines.add("found", "", found);
  if (group.slot().kind != cgroup::SlotKind::root)
    lines.add("slot", "",
              std::string(cgroup::name_of(group.slot().kind)) + " " + printable(group.slot().path));
  for (const cgroup::Branch& each : group.branches()) {
    if (each.is_v2() || (!verbose && !each.dir)) continue;
    std::string names;
    for (const std::string& name : each.controllers) names += (names.empty() ? "" : ",") + name;
    lines.add("v1", names, printable(each.path) + (each.dir ? "" : " (" + each.words + ")"));
  }
}

void add_limits(const Limits& limits, bool verbose, Lines& lines) {
  struct Row {
    Resource resource;
    const char* label;
  };
  constexpr Row kRows[] = {{Resource::memory, "memory"}, {Resource::memory_high, "high"},
                           {Resource::swap, "swap"},     {Resource::memory_and_swap, "mem+swap"},
                           {Resource::cpus, "cpus"},     {Resource::pids, "pids"}};
  const auto who = [](const Limit& limit) {
    return std::string(cgroup::name_of(limit.source)) + " " + printable(limit.by);
  };
  for (const Row& row : kRows) {
    if (const std::optional<Limit> least = limits.least(row.resource))
      lines.add("limits", row.label, value_text(*least) + ", by " + who(*least));
  }
  if (limits.cpuset)
    lines.add("limits", "cpuset",
              limits.cpuset->cpus + ", by cgroup " + printable(limits.cpuset->by));
  for (const Limit& each : limits.all) {
    if (verbose || (!each.enforced && each.source != cgroup::LimitSource::ulimit))
      lines.add(each.enforced ? "all" : "told", cgroup::name_of(each.resource),
                value_text(each) + ", by " + who(each));
  }
  if (limits.ancestors_hidden)
    lines.add("note", "", "cgroups above are hidden: there may be lower limits");
}

void add_usage(const cgroup::OneSample& sample, const char* source, Lines& lines) {
  const Usage& usage = sample.usage;
  lines.add("usage", "of", source);
  lines.add("usage", "cpu",
            time_text(usage.get(Field::cpu_usage)) + " (user " +
                time_text(usage.get(Field::cpu_user)) + ", system " +
                time_text(usage.get(Field::cpu_system)) + "), throttled " +
                time_text(usage.get(Field::cpu_throttled)));
  lines.add("usage", "memory",
            bytes_text(usage.get(Field::memory_current)) + ", peak " +
                bytes_text(usage.get(Field::memory_peak)) + "; anon " +
                bytes_text(usage.get(Field::memory_anon)) + ", file " +
                bytes_text(usage.get(Field::memory_file)) + ", shmem " +
                bytes_text(usage.get(Field::memory_shmem)) + ", kernel " +
                bytes_text(usage.get(Field::memory_kernel)));
  lines.add("usage", "swap",
            bytes_text(usage.get(Field::swap_current)) + ", peak " +
                bytes_text(usage.get(Field::swap_peak)));
  lines.add("usage", "io",
            bytes_text(usage.get(Field::io_read)) + " read, " +
                bytes_text(usage.get(Field::io_write)) + " written");
  lines.add("usage", "pids",
            number_text(usage.get(Field::pids_current)) + ", peak " +
                number_text(usage.get(Field::pids_peak)));
  lines.add("usage", "oom kills", number_text(oom_kills(usage)));
  lines.add("usage", "pressure",
            "cpu " + percent_text(usage.percent(Field::cpu_some_avg10)) + ", memory " +
                percent_text(usage.percent(Field::memory_some_avg10)) + ", io " +
                percent_text(usage.percent(Field::io_some_avg10)) + " of the last 10 s");
}

std::string column(const std::string& text) {
  constexpr std::size_t kWidth = 12;
  return (text.size() < kWidth ? std::string(kWidth - text.size(), ' ') : " ") + text;
}

std::string rate_text(const Usage& before, const Usage& now, Field field) {
  const std::optional<double> rate = cgroup::rate(before, now, field);
  return rate ? bytes_text(*rate) + "/s" : kUnknown;
}

}  // namespace

std::string cgroup_text(const cgroup::Group& group, const Limits& limits,
                        const cgroup::OneSample& sample, const char* source, bool verbose) {
  Lines lines;
  add_place(group, verbose, lines);
  add_limits(limits, verbose, lines);
  add_usage(sample, source, lines);
  if (const auto trace = cgroup::trace_line(group, limits)) lines.add("trace", "", *trace);
  return lines.take();
}

std::string watch_head() {
  std::string head;
  for (const char* name : {"CPUs", "throttled", "memory", "anon", "swap", "read", "written", "pids",
                           "oom kills", "mem press."})
    head += column(name);
  return head + "\n";
}

std::string watch_line(const Usage& before, const Usage& now) {
  const auto cpus = cgroup::rate(before, now, Field::cpu_usage);
  const auto throttled = cgroup::rate(before, now, Field::cpu_throttled);
  return column(cpus ? format("%.2f", *cpus / 1e6) : kUnknown) +
         column(throttled ? format("%.0f %%", *throttled / 1e4) : kUnknown) +
         column(bytes_text(now.get(Field::memory_current))) +
         column(bytes_text(now.get(Field::memory_anon))) +
         column(bytes_text(now.get(Field::swap_current))) +
         column(rate_text(before, now, Field::io_read)) +
         column(rate_text(before, now, Field::io_write)) +
         column(number_text(now.get(Field::pids_current))) + column(number_text(oom_kills(now))) +
         column(percent_text(now.percent(Field::memory_some_avg10))) + "\n";
}

}  // namespace gpuctl::app
