// The words between the caller of spawn() and the processes that it makes: one SOCK_SEQPACKET pair, fixed messages.
//
// The caller's end has SO_PASSCRED, so the kernel tells with each message who sent it, as a pid that means something
// in the caller's namespace.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::fence::internal {

enum class Word : std::int32_t {
  ready,  // payload: waiting for go; value is a sum of ReadyFlag, step says why a proof does not hold
  setup_failed,  // value is the errno, step says what failed; with errno 0 step is a sentence. Nobody of us is left
  device_failed,   // the same, and another way to fence the devices may do
  payload_exited,  // init: value is the wait status
  go,              // caller: exec
};

enum ReadyFlag : std::int32_t {
  cgroups_read_only = 1,
  devices_proven = 2,
  landlock_on = 4,
  seccomp_on = 8,
  signals_scoped = 16,
};

struct Message {
  Word word = Word::ready;
  std::int32_t value = 0;
  char step[200] = {};
};

struct Received {
  Message message;
  pid_t sender = 0;
};

struct Channel {
  Fd ours;
  Fd theirs;
};

Result<Channel> make_channel();

// False when nobody is left at the other end.
bool send_word(int fd, Word word, int value = 0, const char* step = "");

// The next message; ErrorCode::timeout when none comes in time, vanished when everybody who could send one is gone. The
// latter is told by the channel, or, where the caller itself keeps the other end, by `lifeline`: a pipe that hangs up.
Result<Received> receive(int fd, int timeout_ms, int lifeline = -1);

}  // namespace gpuctl::fence::internal
