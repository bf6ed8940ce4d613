// ForkMark: whether this is still the process that made it, and not a child that was forked since.
//
// A page that the kernel empties in a child with memory of its own (madvise(2), MADV_WIPEONFORK): to ask is no system call.
// Before Linux 4.14 it is getpid(2). For one thread at a time.
#pragma once

#include <sys/types.h>

#include <memory>

namespace gpuctl {

class ForkMark {
 public:
  ForkMark();
  bool is_here() const;

 private:
  struct Unmap {
    void operator()(volatile unsigned char* page) const;
  };

  pid_t pid_;
  std::unique_ptr<volatile unsigned char, Unmap> page_;
};

}  // namespace gpuctl
