// LogSink: where the words of an actor go. Rooms below `app` never print; they hand lines to a sink.
#pragma once

#include <string_view>

namespace gpuctl {

// The levels of JAliEn's job traces. `trace` is what the job's owner reads.
enum class LogLevel { debug, trace, info, warning, error };

const char* name_of(LogLevel level);  // "debug", "trace", "info", "warning", "error"

// Implementations are called from one thread and must not throw.
class LogSink {
 public:
  virtual ~LogSink() = default;
  virtual void log(LogLevel level, std::string_view line) = 0;
  // Whether lines of this level go anywhere: what nobody reads need not be known at once.
  virtual bool takes(LogLevel /*level*/) const { return true; }
};

}  // namespace gpuctl
