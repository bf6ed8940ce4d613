// Tether: a tiny process that stays in the cgroup which the supervisor leaves, and stands for it there.
//
// Whoever owns that cgroup (Slurm, HTCondor, systemd stopping a service) ends the job by ending what is in it: the
// tether. It passes on the signals that the supervisor would have got, and when it is killed the supervisor learns of that
// at once. It ends when the supervisor does. Nothing else keeps the two together but a socket pair, so both learn of the
// other's death from the kernel, whatever killed it.
//
// It must not be the supervisor's child: everything below the supervisor is the job's, is ended with it, and "no child
// is left" is the proof of the job's end. So it is made by a double fork, while the supervisor is no subreaper for a
// moment, and becomes a child of whoever reaps orphans above.
//
//   Result<Tether> tether = Tether::make();      // before the supervisor moves
//   poll tether->fd(); Tether::News news = tether->read();
//
// Make it before there is a payload. The destructor lets it go, and waits (a second at most) until it has gone.
#pragma once

#include <sys/types.h>

#include <vector>

#include "gpuctl/base/fd.hpp"

namespace gpuctl::job {

inline constexpr const char* kTetherName = "gpuctl-tether";  // as in /proc/PID/comm

class Tether {
 public:
  // ErrorCode::unsupported where orphans come back to us whatever we do (pid 1 of a container).
  static Result<Tether> make();

  Tether(Tether&&) = default;
  Tether& operator=(Tether&&) = default;
  Tether(const Tether&) = delete;
  Tether& operator=(const Tether&) = delete;
  ~Tether() { let_go(); }

  pid_t pid() const { return pid_; }
  int fd() const { return channel_.get(); }  // readable when there is news; -1 once it is gone

  struct News {
    std::vector<int> signals;  // that it got, in order: TERM, INT, HUP, QUIT, USR1, USR2
    bool is_gone = false;      // told once
  };
  News read();

  void let_go();

 private:
  Tether(Fd channel, pid_t pid) : channel_(std::move(channel)), pid_(pid) {}

  Fd channel_;  // SOCK_SEQPACKET: a signal's number per message
  pid_t pid_ = 0;
};

}  // namespace gpuctl::job
