// The control socket of a running job: SOCK_SEQPACKET, one JSON object a packet, in the job's directory.
//
//   {"do": "status"}                                   -> {"id": …, "stage": "running", "processes": 3, …}
//   {"do": "kill", "by": "…", "grace_usec": 60000000, "spare": ["1234"]}
//                                                      -> once the job is over: {"kill": {…}, "exit_code": 143}
//
// Only the job's owner and root are answered (SO_PEERCRED). The socket is reached as /proc/self/fd/N/control,
// because the path of a job directory may be longer than a socket address.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "gpuctl/base/clock.hpp"
#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/json_fwd.hpp"
#include "gpuctl/kill/engine.hpp"

namespace gpuctl::job {

struct ControlRequest {
  enum class Kind { status, kill };
  Kind kind = Kind::status;
  int client = -1;  // whom to answer
  std::string by;
  std::optional<Usec> grace;
  std::vector<kill::Spared> spared;
};

class ControlServer {
 public:
  static Result<ControlServer> listen(int job_dir_fd);

  // Descriptors to poll for input.
  std::vector<int> descriptors() const;

  // Takes new clients and reads what the others sent; never blocks. Bad packets are answered with {"error": …}.
  std::vector<ControlRequest> receive();

  // Sends one packet to a client that is still there.
  void answer(int client, const Json& reply);

 private:
  explicit ControlServer(Fd socket) : socket_(std::move(socket)) {}

  void accept_clients();

  Fd socket_;
  std::vector<Fd> clients_;
};

// Sends `request` to the supervisor of the job in `job_dir_fd` and waits for its reply.
// ErrorCode::vanished when the supervisor is gone, timeout after `timeout_usec`.
Result<std::string> ask_supervisor(int job_dir_fd, const std::string& request, Usec timeout_usec);

}  // namespace gpuctl::job
