#include "gpuctl/proc/stat.hpp"

#include <unistd.h>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/parse.hpp"

namespace gpuctl::proc {
namespace {

// Reads the blank-separated fields behind the name, by their number in proc_pid_stat(5).
class Fields {
 public:
  explicit Fields(std::string_view text) : parts_(split(text, ' ')) {}

  std::string_view text(std::size_t number) {
    const std::size_t index = number - kFirst;
    if (index < parts_.size() && !parts_[index].empty()) return parts_[index];
    good_ = false;
    return "0";
  }

  std::uint64_t number(std::size_t number) {
    const Result<std::uint64_t> value = parse_unsigned(text(number), "stat");
    if (!value) good_ = false;
    return value.value_or(0U);
  }

  pid_t pid(std::size_t number) {
    const Result<std::int64_t> value = parse_signed(text(number), "stat");
    if (!value) good_ = false;
    return static_cast<pid_t>(value.value_or(0));
  }

  bool good() const { return good_; }

 private:
  static constexpr std::size_t kFirst = 3;  // `state`
  std::vector<std::string_view> parts_;
  bool good_ = true;
};

Failure malformed(std::string_view text) {
  return fail(ErrorCode::malformed, "",
              "not a process's stat: `" + printable(text.substr(0, 80)) + "`");
}

}  // namespace

Result<Stat> parse_stat(std::string_view text) {
  const std::size_t open = text.find(" (");
  const std::size_t close = text.rfind(") ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open + 2)
    return malformed(text);
  const Result<std::uint64_t> pid = parse_unsigned(text.substr(0, open), "pid", 10, 0x7fffffff);
  if (!pid) return malformed(text);

  Fields fields(text.substr(close + 2));
  Stat stat;
  stat.pid = static_cast<pid_t>(*pid);
  stat.name = text.substr(open + 2, close - open - 2);
  stat.state = fields.text(3).front();
  stat.ppid = fields.pid(4);
  stat.pgrp = fields.pid(5);
  stat.session = fields.pid(6);
  stat.flags = fields.number(9);
  stat.utime_ticks = fields.number(14);
  stat.stime_ticks = fields.number(15);
  stat.threads = fields.number(20);
  stat.start_ticks = fields.number(22);
  stat.rss_pages = fields.number(24);
  if (!fields.good()) return malformed(text);
  return stat;
}

Result<Stat> read_stat(const HostFs& fs, pid_t pid) {
  const Result<std::string> text =
      fs.read_file(std::string(host_paths::kProc) + "/" + std::to_string(pid) + "/stat", 1 << 16);
  if (!text) return fail(text.error());
  return parse_stat(*text);
}

}  // namespace gpuctl::proc
