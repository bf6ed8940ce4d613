#include "gpuctl/base/tool.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <cerrno>

#include "support/temp_tree.hpp"

using namespace gpuctl;

namespace {

std::vector<std::string> usual() { return {"PATH=/usr/bin:/bin", "LC_ALL=C"}; }

Result<ToolEnd> shell(const std::string& script, Usec timeout = 20 * kUsecPerSec) {
  return run_tool({{"sh", "-c", script}, usual(), timeout});
}

bool nobody_is_left() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

}  // namespace

TEST_CASE("what a tool says and how it ends is told") {
  const Result<ToolEnd> end = shell("echo out; echo first >&2; echo last >&2; exit 3");
  REQUIRE(end);
  CHECK(end->out == "out\n");
  CHECK(end->err == "first\nlast\n");
  CHECK(end->exited_with(3));
  CHECK_FALSE(end->exited_with(0));
  CHECK(end->words() == "last");
  CHECK(shell("echo out")->words() == "out");
  CHECK(shell("exit 4")->words() == "exit code 4");
  CHECK(shell("kill -9 $$")->words() == "signal 9");
  CHECK(shell("printf 'a\\033[31m\\n'")->words() == "a\\x1b[31m");
  CHECK(nobody_is_left());
}

TEST_CASE("it gets the given environment, no input, and a session of its own") {
  CHECK(shell("read line; echo \"got $?\"")->out == "got 1\n");
  CHECK(run_tool({{"env"}, {"PATH=/usr/bin:/bin", "ONLY=this"}})->out ==
        "PATH=/usr/bin:/bin\nONLY=this\n");
  CHECK(shell("test \"$(cut -d' ' -f6 /proc/$$/stat)\" = $$ && echo leader")->out == "leader\n");
}

TEST_CASE("a program that is not there, or is none, is told from one that fails") {
  CHECK(run_tool({{"no-such-tool"}, usual()}).error().code == ErrorCode::not_found);
  CHECK(run_tool({{"sh"}, {"PATH=/nowhere"}}).error().code == ErrorCode::not_found);
  CHECK(run_tool({{"/dev/null"}, usual()}).error().code == ErrorCode::permission);
  CHECK(run_tool({{}, usual()}).error().code == ErrorCode::usage);
  CHECK(nobody_is_left());
}

TEST_CASE("one that hangs is killed at its deadline, whether it keeps its output or not") {
  const Result<ToolEnd> talking = shell("echo thinking; exec sleep 1000", kUsecPerSec / 2);
  REQUIRE_FALSE(talking);
  CHECK(talking.error().code == ErrorCode::timeout);
  CHECK(talking.error().detail.find("`thinking`") != std::string::npos);
  const Result<ToolEnd> silent = shell("exec sleep 1000 >/dev/null 2>&1", kUsecPerSec / 2);
  REQUIRE_FALSE(silent);
  CHECK(silent.error().code == ErrorCode::timeout);
  CHECK(shell("echo too late", 0).error().code == ErrorCode::timeout);
  CHECK(nobody_is_left());
}

TEST_CASE("a flood is read to its end and not kept") {
  const Result<ToolEnd> end = shell("head -c 3000000 /dev/zero; head -c 100000 /dev/zero >&2");
  REQUIRE(end);
  CHECK(end->exited_with(0));
  CHECK(end->out.size() == 65536);
  CHECK(end->err.size() == 65536);
}
