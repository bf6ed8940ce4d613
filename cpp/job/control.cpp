#include "gpuctl/job/control.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "gpuctl/base/host_paths.hpp"
#include "gpuctl/base/json.hpp"

namespace gpuctl::job {
namespace {

constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kMaxRequestBytes = 4096;
constexpr std::size_t kMaxReplyBytes = std::size_t{128} << 10;

sockaddr_un control_address(int job_dir_fd) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path =
      std::string(host_paths::kLiveSelfFd) + "/" + std::to_string(job_dir_fd) + "/control";
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);  // NOLINT: the sockets API is made so
}

bool may_ask(int client) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == ::geteuid() || peer.uid == 0;
}

std::optional<ControlRequest> parse_request(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("do") || !json["do"].is_string()) return std::nullopt;
  ControlRequest request;
  const std::string what = json["do"];
  if (what != "status" && what != "kill") return std::nullopt;
  request.kind = what == "kill" ? ControlRequest::Kind::kill : ControlRequest::Kind::status;
  if (json.contains("by") && json["by"].is_string()) request.by = json["by"];
  if (json.contains("grace_usec") && json["grace_usec"].is_number_unsigned())
    request.grace = json["grace_usec"];
  for (const Json& each : json.value("spare", Json::array())) {
    Result<kill::Spared> spared =
        kill::parse_spared(each.is_string() ? each.get<std::string>() : "");
    if (!spared) return std::nullopt;
    request.spared.push_back(std::move(*spared));
  }
  return request;
}

}  // namespace

Result<ControlServer> ControlServer::listen(int job_dir_fd) {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno(errno, "control", "cannot make the socket");
  const sockaddr_un address = control_address(job_dir_fd);
  if (::bind(socket.get(), as_sockaddr(address), sizeof address) != 0 ||
      ::listen(socket.get(), 8) != 0) {
    return fail_errno(errno, "control", "cannot listen");
  }
  return ControlServer(std::move(socket));
}

std::vector<int> ControlServer::descriptors() const {
  std::vector<int> all{socket_.get()};
  for (const Fd& client : clients_) all.push_back(client.get());
  return all;
}

void ControlServer::accept_clients() {
  while (true) {
    Fd client(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!client) return;
    if (may_ask(client.get()) && clients_.size() < kMaxClients)
      clients_.push_back(std::move(client));
  }
}

std::vector<ControlRequest> ControlServer::receive() {
  accept_clients();
  std::vector<ControlRequest> requests;
  for (Fd& client : clients_) {
    std::array<char, kMaxRequestBytes> packet;  // NOLINT: filled by recv(2)
    const ssize_t size = ::recv(client.get(), packet.data(), packet.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (size <= 0) {
      client.reset();
      continue;
    }
    std::optional<ControlRequest> request =
        parse_request(std::string(packet.data(), static_cast<std::size_t>(size)));
    if (!request) {
      answer(client.get(), {{"error", R"(expected {"do": "status"} or {"do": "kill"})"}});
      continue;
    }
    request->client = client.get();
    requests.push_back(*request);
  }
  clients_.erase(
      std::remove_if(clients_.begin(), clients_.end(), [](const Fd& client) { return !client; }),
      clients_.end());
  return requests;
}

void ControlServer::answer(int client, const Json& reply) {
  const auto known = std::find_if(clients_.begin(), clients_.end(),
                                  [&](const Fd& each) { return each.get() == client; });
  if (known == clients_.end()) return;
  const std::string text = to_line(reply);
  // A client that does not read, or left, loses its answer; the report is in the job's directory.
  static_cast<void>(::send(client, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT));
}

Result<std::string> ask_supervisor(int job_dir_fd, const std::string& request, Usec timeout_usec) {
  const Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(errno, "control", "cannot make a socket");
  const sockaddr_un address = control_address(job_dir_fd);
  if (::connect(socket.get(), as_sockaddr(address), sizeof address) != 0) {
    const int reason = errno;
    if (reason == ECONNREFUSED || reason == ENOENT)
      return fail(ErrorCode::vanished, "control", "nobody listens");
    return fail_errno(reason, "control", "cannot connect to the job's supervisor");
  }
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    return fail(ErrorCode::vanished, "control", "the job's supervisor is gone");
  }
  const Usec deadline = monotonic_usec() + timeout_usec;
  std::string reply(kMaxReplyBytes, '\0');
  while (true) {
    const Usec left = deadline - monotonic_usec();
    if (left <= 0)
      return fail(ErrorCode::timeout, "control", "the job's supervisor does not answer");
    pollfd waiting{socket.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<Usec>(left / 1000 + 1, 60'000))) <= 0)
      continue;
    const ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), 0);
    if (size <= 0) return fail(ErrorCode::vanished, "control", "the job's supervisor is gone");
    reply.resize(static_cast<std::size_t>(size));
    return reply;
  }
}

}  // namespace gpuctl::job
