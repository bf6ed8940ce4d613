// gpuctl capture: a node as one archive that `--root` and `--from` read back.
#include "gpuctl/gpu/capture.hpp"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "gpuctl/base/json.hpp"
#include "gpuctl/base/parse.hpp"
#include "gpuctl/base/tar.hpp"
#include "tool_output.hpp"
#include "verbs.hpp"

namespace gpuctl::app {
namespace {

constexpr std::int64_t kDefaultDeadlineUsec = 30000000;  // eight cards without persistence are slow

struct Tool {
  const char* file;  // below tools/
  std::vector<std::string> argv;
};

// What `gpuctl probe --from` reads back, each by the name of its kind.
const std::vector<Tool>& tools() {
  static const std::vector<Tool> table{
      {"nvidia-smi-q-x.xml", {"nvidia-smi", "-q", "-x"}},
      {"nvidia-smi-L.txt", {"nvidia-smi", "-L"}},
      {"rocm-smi-a.json", {"rocm-smi", "-a", "--json"}},
      {"amd-smi-static.json", {"amd-smi", "static", "--json"}},
      {"amdgpu_top-d.json", {"amdgpu_top", "-d", "--json"}},
      {"xpu-smi-discovery.json", {"xpu-smi", "discovery", "-j"}},
      {"lspci-Dvmmnnk.txt", {"lspci", "-Dvmmnnk"}},
  };
  return table;
}

// The names that must not go out: of this machine, and of who captures it.
std::vector<std::string> private_words(const Environment& environment) {
  std::vector<std::string> words;
  utsname name{};
  if (::uname(&name) == 0) {
    const std::string host = name.nodename;
    words.push_back(host);
    if (const std::size_t dot = host.find('.'); dot != std::string::npos) {
      words.push_back(host.substr(0, dot));
      words.push_back(host.substr(dot + 1));
    }
  }
  for (const char* variable : {"USER", "LOGNAME", "SUDO_USER", "HOSTNAME"}) {
    const std::string value = environment.find(variable).value_or("");
    if (value != "root") words.push_back(value);
  }
  return words;
}

void add_tree(const gpu::Capture& capture, TarWriter& tar) {
  using Kind = gpu::CapturedFile::Kind;
  for (const gpu::CapturedFile& each : capture.files) {
    if (each.kind == Kind::directory) tar.add_directory(each.path);
    if (each.kind == Kind::file) tar.add_file(each.path, each.text);
    if (each.kind == Kind::link) tar.add_link(each.path, each.text);
  }
}

// Names of processes and their paths are the users' business.
std::string without_processes(const std::string& text) {
  std::string kept;
  bool inside = false;
  for (const std::string_view line : split(text, '\n')) {
    inside = inside || line.find("<processes>") != std::string_view::npos;
    if (!inside) kept.append(line).push_back('\n');
    if (line.find("</processes>") != std::string_view::npos) inside = false;
  }
  kept.pop_back();
  return kept;
}

Json add_tools(const Context& context, std::int64_t deadline, gpu::Scrubber& scrubber,
               TarWriter& tar) {
  Json told = Json::array();
  for (const Tool& tool : tools()) {
    const ToolOutput output = run_tool(tool.argv, deadline);
    if (!output.found) continue;
    if (!context.quiet && output.timed_out)
      complain("`" + tool.argv.front() + "` did not answer in time and was ended");
    if (!output.text.empty()) {
      if (told.empty()) tar.add_directory("tools");
      tar.add_file(std::string("tools/") + tool.file,
                   scrubber.scrub(without_processes(output.text)));
    }
    std::string command;
    for (const std::string& word : tool.argv) command += (command.empty() ? "" : " ") + word;
    told.push_back({{"file", std::string("tools/") + tool.file},
                    {"command", command},
                    {"exit_status", json_or_null(output.exit_status)},
                    {"timed_out", output.timed_out},
                    {"cut", output.cut}});
  }
  return told;
}

Result<std::int64_t> deadline_of(const Invocation& invocation) {
  const std::optional<std::string> text = invocation.last("deadline");
  if (!text) return kDefaultDeadlineUsec;
  return parse_duration_usec(*text, "`--deadline`");
}

// Not over a file that is there: a capture is looked at before it is handed on, and this may be the one looked at.
Result<void> write_new_file(const std::string& path, const std::string& text) {
  const Result<Fd> fd = open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_NOCTTY, 0644);
  if (!fd) return fail(fd.error());
  Result<void> written = write_all(fd->get(), text, path);
  if (!written) ::unlink(path.c_str());
  return written;
}

int answer(const Context& context, const std::string& file, const gpu::Capture& capture,
           const Json& told) {
  const bool hung = std::any_of(told.begin(), told.end(),
                                [](const Json& each) { return each.at("timed_out") == true; });
  const int code = capture.problems.empty() && !hung ? 0 : 4;
  if (!context.quiet) {
    for (const gpu::Problem& each : capture.problems) complain(each.error.message());
  }
  if (!context.json) {
    return print(printable(file) + ": " + std::to_string(capture.files.size()) + " entries and " +
                     std::to_string(told.size()) +
                     " tools' outputs; look through it before you hand it on\n",
                 code);
  }
  Json problems = Json::array();
  for (const gpu::Problem& each : capture.problems)
    problems.push_back({{"code", name_of(each.error.code)}, {"detail", each.error.message()}});
  return print(to_text({{"schema", "gpuctl.capture/1"},
                        {"file", file},
                        {"entry_count", capture.files.size()},
                        {"tools", told},
                        {"problems", problems}}),
               code);
}

}  // namespace

int run_capture(const Context& context) {
  const std::vector<std::string>& operands = context.invocation.operands;
  if (operands.size() != 1) {
    complain("`capture` needs the FILE to write, and only that; see `gpuctl capture --help`");
    return 2;
  }
  const Result<std::int64_t> deadline = deadline_of(context.invocation);
  if (!deadline) return complain(deadline.error(), 2);
  const Result<HostFs> fs = context.open_root();
  if (!fs) return complain(fs.error(), 2);
  gpu::Scrubber scrubber(private_words(context.environment));
  const gpu::Capture capture = gpu::capture_node(*fs, scrubber);
  TarWriter tar;
  add_tree(capture, tar);
  Json told = Json::array();
  // No tool is started for a node that is not this machine.
  if (fs->is_live() && !context.invocation.has("no-tools"))
    told = add_tools(context, *deadline, scrubber, tar);
  const Json about = {{"schema", "gpuctl.capture/1"}, {"version", GPUCTL_VERSION}, {"tools", told}};
  tar.add_file("about.json", to_text(about));
  const Result<void> written = write_new_file(operands.front(), tar.finish());
  if (!written) return complain(written.error(), written.error().errno_value == EEXIST ? 2 : 3);
  return answer(context, operands.front(), capture, told);
}

}  // namespace gpuctl::app
