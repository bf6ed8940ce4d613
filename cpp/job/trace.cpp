#include "gpuctl/job/trace.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/json.hpp"

namespace gpuctl::job {
namespace {

constexpr std::size_t kMaxLines = 1000;

// A pipe that nobody empties must not stop the job's controller. The flag belongs to the open file, which the caller
// may share with others: so the file is opened again where that works (not for sockets).
Fd non_blocking(Fd events) {
  if (!events) return events;
  const std::string path = std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(events.get());
  Fd own(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (own) return own;
  ::fcntl(events.get(), F_SETFL, ::fcntl(events.get(), F_GETFL) | O_NONBLOCK);
  return events;
}

}  // namespace

Trace::Trace(LogSink* sink, Fd events) : sink_(sink), events_(non_blocking(std::move(events))) {}

void Trace::line(LogLevel level, std::string_view text) {
  const Usec now = realtime_usec();
  if (sink_ != nullptr) sink_->log(level, text);
  if (lines_.size() >= kMaxLines) lines_.erase(lines_.begin() + kMaxLines / 2);
  lines_.push_back({now, level, std::string(text)});
  if (file_) {
    const std::string written = format_trace_stamp(now) + " [" + name_of(level) + "]: " + std::string(text) + "\n";
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
  if (!write_all(events_.get(), to_line(json), "events")) events_.reset();
}

}  // namespace gpuctl::job
