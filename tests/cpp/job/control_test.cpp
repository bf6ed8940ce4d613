#include "gpuctl/job/control.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "gpuctl/base/json.hpp"
#include "support/temp_tree.hpp"

using namespace gpuctl;
using gpuctl::testing::TempTree;
using job::ControlServer;

namespace {

struct Listening {
  TempTree tree;
  Fd dir = std::move(*open_at(AT_FDCWD, tree.path(), O_RDONLY | O_DIRECTORY));
  ControlServer server = std::move(*ControlServer::listen(dir.get()));

  // A client that has sent these bytes.
  Fd client(const std::string& bytes) const {
    Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    REQUIRE(socket.get() >= 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = tree.path("control");
    std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    if (!bytes.empty())
      REQUIRE(::send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) >= 0);
    return socket;
  }
};

std::string reply_of(const Fd& socket) {
  std::string reply(65536, '\0');
  const ssize_t size = ::recv(socket.get(), reply.data(), reply.size(), MSG_DONTWAIT);
  reply.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return reply;
}

}  // namespace

TEST_CASE("requests are read with who asks and how long to wait") {
  Listening listening;
  const Fd status = listening.client(R"({"do": "status"})");
  const Fd kill =
      listening.client(R"({"do": "kill", "by": "me", "grace_usec": 5000000, "more": 1})");
  const std::vector<job::ControlRequest> requests = listening.server.receive();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].kind == job::ControlRequest::Kind::status);
  CHECK(requests[1].kind == job::ControlRequest::Kind::kill);
  CHECK(requests[1].by == "me");
  CHECK(*requests[1].grace == 5'000'000);
  listening.server.answer(requests[1].client, {{"kill", nullptr}});
  CHECK(nlohmann::json::parse(reply_of(kill)).contains("kill"));
}

TEST_CASE("bad packets are answered and harm nobody") {
  Listening listening;
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{}"), std::string(R"({"do": 1})"),
        std::string(R"({"do": "dance"})"), std::string("\0\xff", 2), std::string(3000, '[')}) {
    CAPTURE(bad.substr(0, 20));
    const Fd client = listening.client(bad);
    CHECK(listening.server.receive().empty());
    CHECK(reply_of(client).find("error") != std::string::npos);
  }
  const Fd odd = listening.client(R"({"do": "kill", "grace_usec": -1, "by": 7})");
  const std::vector<job::ControlRequest> requests = listening.server.receive();
  REQUIRE(requests.size() == 1);
  CHECK_FALSE(requests[0].grace);
  CHECK(requests[0].by.empty());
}

TEST_CASE("clients that leave or crowd in are let go") {
  Listening listening;
  {
    const Fd gone = listening.client("");
  }
  listening.server.receive();
  listening.server.receive();
  CHECK(listening.server.descriptors().size() == 1);
  std::vector<Fd> crowd;
  for (int i = 0; i < 6; ++i) {  // more than the backlog come in several turns
    for (int j = 0; j < 6; ++j) crowd.push_back(listening.client(""));
    listening.server.receive();
  }
  CHECK(listening.server.descriptors().size() <= 17);
  listening.server.answer(12345, {{"x", 1}});  // nobody
}

TEST_CASE("asking: an answer, nobody there, no answer in time") {
  Listening listening;
  std::thread server([&] {
    while (true) {
      const std::vector<job::ControlRequest> requests = listening.server.receive();
      if (!requests.empty()) return listening.server.answer(requests[0].client, {{"fine", true}});
      ::usleep(1000);
    }
  });
  const Result<std::string> reply =
      job::ask_supervisor(listening.dir.get(), R"({"do": "status"})", 20 * kUsecPerSec);
  server.join();
  REQUIRE(reply);
  CHECK(reply->find("fine") != std::string::npos);
  CHECK(job::ask_supervisor(listening.dir.get(), R"({"do": "status"})", 10'000).error().code ==
        ErrorCode::timeout);
  const TempTree empty;
  const Result<Fd> dir = open_at(AT_FDCWD, empty.path(), O_RDONLY | O_DIRECTORY);
  CHECK(job::ask_supervisor(dir->get(), "{}", 10'000).error().code == ErrorCode::vanished);
}
