#include "gpuctl/job/trace.hpp"

#include "gpuctl/base/json.hpp"

namespace gpuctl::job {
namespace {

constexpr std::size_t kMaxLines = 1000;

constexpr int kEventPatienceMs = 1000;

// A pipe that nobody empties must not stop the job's controller.
Fd without_blocking(Fd events) {
  if (!events) return events;
  Fd own = open_again_without_blocking(events.get());
  return own ? std::move(own) : std::move(events);
}

}  // namespace

Trace::Trace(LogSink* sink, Fd events)
    : sink_(sink), events_(without_blocking(std::move(events))) {}

void Trace::line(LogLevel level, std::string_view text) {
  const Usec now = realtime_usec();
  if (sink_ != nullptr) sink_->log(level, text);
  if (lines_.size() >= kMaxLines) lines_.erase(lines_.begin() + kMaxLines / 2);
  lines_.push_back({now, level, std::string(text)});
  if (file_) {
    const std::string written =
        format_trace_stamp(now) + " [" + name_of(level) + "]: " + std::string(text) + "\n";
    if (!write_all(file_.get(), written, "trace")) file_.reset();
  }
  event("trace", {{"level", name_of(level)}, {"text", text}});
}

void Trace::mark(std::string_view timeline_event) {
  timeline_.push_back({realtime_usec(), std::string(timeline_event)});
}

void Trace::event(std::string_view name, const Json& members) {
  if (!events_) return;
  Json json = {{"event", name}, {"at", format_rfc3339(realtime_usec())}};
  json.update(members);
  if (!write_patiently(events_.get(), to_line(json), kEventPatienceMs, "events")) events_.reset();
}

}  // namespace gpuctl::job
