#include "gpuctl/base/fd.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;

namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

}  // namespace

TEST_CASE("a descriptor is closed once, by its last owner") {
  Fd first(::open("/dev/null", O_RDONLY));
  const int number = first.get();
  Fd second = std::move(first);
  CHECK_FALSE(first);  // NOLINT: what a moved-from Fd is, is promised
  CHECK(is_open(number));
  second = std::move(second);
  CHECK(second.get() == number);
  const int released = second.release();
  second.reset();
  CHECK(is_open(released));
  Fd(released).reset();
  CHECK_FALSE(is_open(number));
}

TEST_CASE("everything is opened close-on-exec") {
  const TempTree tree;
  const Result<Fd> file = open_at(AT_FDCWD, tree.path("f"), O_WRONLY | O_CREAT, 0600);
  const Result<Pipe> pipe = make_pipe();
  for (const int fd : {file->get(), pipe->read_end.get(), pipe->write_end.get()}) {
    CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
  }
  const Fd again = open_again_without_blocking(pipe->write_end.get());
  CHECK((::fcntl(again.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("errors name the file and have the code that fits") {
  CHECK(open_at(AT_FDCWD, "/no/such", O_RDONLY).error().code == ErrorCode::not_found);
  CHECK(open_at(AT_FDCWD, "/no/such", O_RDONLY).error().message().find("/no/such") !=
        std::string::npos);
}

TEST_CASE("reading stops at the limit") {
  const TempTree tree;
  tree.write("f", std::string(10'000, 'x'));
  const Result<Fd> file = open_at(AT_FDCWD, tree.path("f"), O_RDONLY);
  CHECK(read_all(file->get(), 9'999, "f").error().code == ErrorCode::malformed);
  CHECK(::lseek(file->get(), 0, SEEK_SET) == 0);
  CHECK(read_all(file->get(), 10'000, "f")->size() == 10'000);
}

TEST_CASE("a pipe that nobody empties ends the writing, and keeps its own flags") {
  const Result<Pipe> pipe = make_pipe();
  const Fd own = open_again_without_blocking(pipe->write_end.get());
  REQUIRE(own);
  const Result<void> written = write_patiently(own.get(), std::string(1 << 20, 'x'), 20, "pipe");
  REQUIRE_FALSE(written);
  CHECK(written.error().code == ErrorCode::timeout);
  CHECK((::fcntl(pipe->write_end.get(), F_GETFL) & O_NONBLOCK) == 0);
}

TEST_CASE("a socket that nobody empties ends the writing too") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
  const Fd ours(ends[0]);
  const Fd theirs(ends[1]);
  CHECK_FALSE(open_again_without_blocking(ours.get()));
  CHECK(write_patiently(ours.get(), std::string(8 << 20, 'x'), 20, "socket").error().code ==
        ErrorCode::timeout);
}

TEST_CASE("a reader that left is an error, not a signal that kills") {
  std::signal(SIGPIPE, SIG_IGN);  // as in the supervisor, where it is blocked
  Result<Pipe> pipe = make_pipe();
  pipe->read_end.reset();
  CHECK(write_patiently(pipe->write_end.get(), "x", 20, "pipe").error().errno_value == EPIPE);
  CHECK_FALSE(write_all(pipe->write_end.get(), "x", "pipe"));
}
