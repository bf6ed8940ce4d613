// Context: one invocation with everything that was read from outside, once: flags, configuration, environment.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "flags.hpp"
#include "gpuctl/base/config.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_fs.hpp"
#include "gpuctl/base/log.hpp"

namespace gpuctl::app {

// What the process inherited. Nothing below `app` reads the environment.
struct Environment {
  std::vector<std::string> entries;  // NAME=value, as inherited

  std::optional<std::string> find(const std::string& name) const;
  std::map<std::string, std::string> with_prefix(const std::string& prefix) const;
};

Environment read_environment(char** environ_block);

struct Context {
  Invocation invocation;
  Environment environment;
  Config config;
  bool json = false;
  bool quiet = false;
  bool verbose = false;

  std::string root() const { return *config.text("root"); }
  Result<HostFs> open_root() const { return HostFs::open(root()); }
};

Result<Context> make_context(Invocation invocation, Environment environment);

// JAliEn's trace lines on stderr: "Aug 19 22:06:13 [trace]: …". Quiet lets only errors through. A line that nobody takes
// off a full pipe or a stopped terminal is dropped: the job must not wait for its audience.
class StderrLog : public LogSink {
 public:
  explicit StderrLog(bool quiet);
  void log(LogLevel level, std::string_view line) override;
  bool takes(LogLevel level) const override { return !quiet_ || level == LogLevel::error; }

 private:
  bool quiet_;
  Fd own_;  // stderr once more, without blocking; invalid where that cannot be had
};

// Prints "gpuctl: WORDS" on stderr.
void complain(const std::string& words);
int complain(const Error& error, int exit_code);

// Writes the answer; 3 when stdout does not take it (a full disk must not look like success).
int print(const std::string& text, int exit_code);

}  // namespace gpuctl::app
