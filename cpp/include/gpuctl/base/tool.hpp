// Tool: somebody else's program, run to its end as a child with a deadline; what it said is the answer.
//
// The child gets the given environment and nothing else of ours: no descriptors, no blocked or ignored signals, a session
// of its own, /dev/null as stdin, and KILL when we die. At the deadline it is killed and reaped: a tool that hangs is
// an Error, never a hung gpuctl. One thread; the caller must not ignore SIGCHLD.
//
//   Result<ToolEnd> end = run_tool({{"busctl", "--version"}, {"PATH=/usr/bin", "LC_ALL=C"}, 2 * kUsecPerSec});
//   if (end && end->exited_with(0)) use(end->out);
#pragma once

#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/result.hpp"

namespace gpuctl {

struct ToolCall {
  std::vector<std::string> argv;         // argv[0] is looked up in PATH of `environment`
  std::vector<std::string> environment;  // NAME=value
  Usec timeout = 10 * kUsecPerSec;
};

struct ToolEnd {
  int wait_status = 0;
  std::string out;  // of each the first 64 KiB; the rest is read and thrown away
  std::string err;

  bool exited_with(int code) const;
  std::string words()
      const;  // the last line that it said, on stderr if there is one, else how it ended
};

// ErrorCode::not_found where PATH has no such program; timeout when it was killed at its deadline, and `detail` has
// what it had said until then.
Result<ToolEnd> run_tool(const ToolCall& call);

}  // namespace gpuctl
