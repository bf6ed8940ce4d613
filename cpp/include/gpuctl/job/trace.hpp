// Trace: the story of a job while it happens. Each line goes to the sink (for a person, now), to the file `trace`
// of the job's directory (for whoever looks at a running job), to the event stream and into the report.
//
// The event stream is one JSON object a line: {"event": start|sample|trace|verdict|end, "at": …, …}. A reader of it
// that is gone or too slow is dropped, the job is not held up.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/json_fwd.hpp"
#include "gpuctl/base/log.hpp"
#include "gpuctl/job/report.hpp"

namespace gpuctl::job {

class Trace {
 public:
  // `sink` may be nullptr (quiet); `events` may be invalid.
  Trace(LogSink* sink, Fd events);

  void keep_in(Fd file) { file_ = std::move(file); }

  void line(LogLevel level, std::string_view text);
  void mark(std::string_view timeline_event);
  void event(std::string_view name, const Json& members);

  // Whether somebody reads lines or events as they come.
  bool is_followed() const {
    return events_ || (sink_ != nullptr && sink_->takes(LogLevel::trace));
  }

  // What the report gets: the first and the last lines when there are too many.
  const std::vector<TraceLine>& lines() const { return lines_; }
  const std::vector<TimelineEntry>& timeline() const { return timeline_; }

 private:
  LogSink* sink_;
  Fd events_;
  Fd file_;
  std::vector<TraceLine> lines_;
  std::vector<TimelineEntry> timeline_;
};

}  // namespace gpuctl::job
