#include "channel.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace gpuctl::fence::internal {

Result<Channel> make_channel() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return fail_errno(errno, "", "cannot make a socket pair");
  }
  Channel channel{Fd(ends[0]), Fd(ends[1])};
  const int on = 1;
  if (::setsockopt(channel.ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0) {
    return fail_errno(errno, "", "cannot ask for credentials");
  }
  return channel;
}

bool send_word(int fd, Word word, int value, const char* step) {
  Message message;
  message.word = word;
  message.value = value;
  std::strncpy(message.step, step, sizeof message.step - 1);
  return ::send(fd, &message, sizeof message, MSG_NOSIGNAL) == static_cast<ssize_t>(sizeof message);
}

Result<Received> receive(int fd, int timeout_ms, int lifeline) {
  std::array<pollfd, 2> waiting{{{fd, POLLIN, 0}, {lifeline, 0, 0}}};
  const int ready =
      retry_on_interrupt([&] { return ::poll(waiting.data(), waiting.size(), timeout_ms); });
  if (ready == 0) return fail(ErrorCode::timeout, "", "the new process does not answer");
  Received received;
  iovec piece{&received.message, sizeof received.message};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
  msghdr header{};
  header.msg_iov = &piece;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t size =
      retry_on_interrupt([&] { return ::recvmsg(fd, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT); });
  if (size != static_cast<ssize_t>(sizeof received.message)) {
    return fail(ErrorCode::vanished, "", "the new process is gone");
  }
  const cmsghdr* first = CMSG_FIRSTHDR(&header);
  if (first != nullptr && first->cmsg_type == SCM_CREDENTIALS) {
    ucred credentials{};
    std::memcpy(&credentials, CMSG_DATA(first), sizeof credentials);
    received.sender = credentials.pid;
  }
  return received;
}

}  // namespace gpuctl::fence::internal
