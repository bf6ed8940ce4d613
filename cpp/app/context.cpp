#include "context.hpp"

#include <unistd.h>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/variables.hpp"

namespace gpuctl::app {
namespace {

constexpr int kPatienceMs = 100;

std::map<std::string, std::string> flag_values(const Invocation& invocation) {
  std::map<std::string, std::string> values;
  for (const auto& [name, given] : invocation.values) values[name] = given.back();
  return values;
}

bool switched_on(const Invocation& invocation, const Environment& environment, const char* flag,
                 const char* variable) {
  if (invocation.has(flag)) return true;
  const std::optional<std::string> value = environment.find(variable);
  return value && !value->empty() && *value != "0" && *value != "false";
}

}  // namespace

std::optional<std::string> Environment::find(const std::string& name) const {
  return find_variable(entries, name);
}

std::map<std::string, std::string> Environment::with_prefix(const std::string& prefix) const {
  std::map<std::string, std::string> found;
  for (const std::string& entry : entries) {
    const std::size_t equals = entry.find('=');
    if (entry.compare(0, prefix.size(), prefix) == 0 && equals != std::string::npos) {
      found[entry.substr(0, equals)] = entry.substr(equals + 1);
    }
  }
  return found;
}

Environment read_environment(char** environ_block) {
  Environment environment;
  for (char** entry = environ_block; *entry != nullptr; ++entry)
    environment.entries.emplace_back(*entry);
  return environment;
}

Result<Context> make_context(Invocation invocation, Environment environment) {
  ConfigSources sources;
  sources.system_file = host_paths::kLiveSystemConfig;
  sources.user_file = environment.find("GPUCTL_CONFIG");
  sources.environment = environment.with_prefix("GPUCTL_");
  sources.flags = flag_values(invocation);
  Result<Config> config = Config::load(sources);
  if (!config) return fail(config.error());

  Context context{std::move(invocation), std::move(environment), std::move(*config)};
  context.json = switched_on(context.invocation, context.environment, "json", "GPUCTL_JSON");
  context.quiet = switched_on(context.invocation, context.environment, "quiet", "GPUCTL_QUIET");
  context.verbose =
      switched_on(context.invocation, context.environment, "verbose", "GPUCTL_VERBOSE");
  return context;
}

StderrLog::StderrLog(bool quiet)
    : quiet_(quiet), own_(open_again_without_blocking(STDERR_FILENO)) {}

void StderrLog::log(LogLevel level, std::string_view line) {
  if (!takes(level)) return;
  const std::string text = format_trace_stamp(realtime_usec()) + " [" + name_of(level) +
                           "]: " + std::string(line) + "\n";
  const int fd = own_ ? own_.get() : STDERR_FILENO;
  static_cast<void>(
      write_patiently(fd, text, kPatienceMs, "stderr").has_value());  // nobody to tell
}

void complain(const std::string& words) {
  static_cast<void>(write_all(STDERR_FILENO, "gpuctl: " + words + "\n", "stderr").has_value());
}

int complain(const Error& error, int exit_code) {
  complain(error.message());
  return exit_code;
}

int print(const std::string& text, int exit_code) {
  const Result<void> written = write_all(STDOUT_FILENO, text, "stdout");
  return written ? exit_code : complain(written.error(), 3);
}

}  // namespace gpuctl::app
