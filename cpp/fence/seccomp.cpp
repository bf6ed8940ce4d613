#include "seccomp.hpp"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "gpuctl/base/syscall_numbers.hpp"
#include "gpuctl/base/without.hpp"

namespace gpuctl::fence::internal {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__powerpc64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_PPC64LE;
#elif defined(__riscv)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
#error "the seccomp filter does not know this architecture"
#endif
constexpr std::uint32_t kX32Bit = 0x40000000;  // __X32_SYSCALL_BIT
constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
constexpr std::uint32_t kAbsent = SECCOMP_RET_ERRNO | ENOSYS;

constexpr std::uint32_t offset_of(int argument) {  // of its lower half, on little-endian machines
  return static_cast<std::uint32_t>(offsetof(seccomp_data, args)) +
         8U * static_cast<std::uint32_t>(argument);
}

// A program of blocks, one per system call: each looks at its arguments and returns, so no jump is longer than one.
class Program {
 public:
  Program() {
    load(offsetof(seccomp_data, arch));
    unless_equal(kArchitecture, kAbsent);
    load(offsetof(seccomp_data, nr));
#if defined(__x86_64__)
    add(BPF_JMP | BPF_JGE | BPF_K, kX32Bit, 0, 1);
    ret(kAbsent);
#endif
  }

  // The block of one call: `rules(…)` loads arguments and returns or falls through to "allow".
  template <typename Rules>
  void on(long number, Rules rules) {
    const std::size_t test = code_.size();
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 0);
    rules();
    ret(kAllow);
    // over the block, to where the number is loaded again: a jump by offset, since a block may be long
    const std::size_t length = code_.size() - test - 1;
    if (length <= 255) {
      code_[test].jf = static_cast<std::uint8_t>(length);
    } else {
      code_[test].jt = 1;
      code_.insert(code_.begin() + static_cast<std::ptrdiff_t>(test) + 1,
                   sock_filter{BPF_JMP | BPF_JA, 0, 0, static_cast<std::uint32_t>(length)});
    }
    load(offsetof(seccomp_data, nr));
  }

  void load(std::size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset), 0, 0);
  }
  void load_argument(int argument) { load(offset_of(argument)); }
  void ret(std::uint32_t value) { add(BPF_RET | BPF_K, value, 0, 0); }
  void refuse_if(std::uint32_t value) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    ret(kRefuse);
  }
  void refuse_any(const std::vector<std::uint32_t>& values) {
    for (const std::uint32_t value : values) refuse_if(value);
  }
  void unless_equal(std::uint32_t value, std::uint32_t answer) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    ret(answer);
  }

  std::vector<sock_filter>& finish() {
    ret(kAllow);
    return code_;
  }

 private:
  void add(int code, std::uint32_t k, int when_true, int when_false) {
    code_.push_back({static_cast<std::uint16_t>(code), static_cast<std::uint8_t>(when_true),
                     static_cast<std::uint8_t>(when_false), k});
  }

  std::vector<sock_filter> code_;
};

struct Protected {
  std::vector<std::uint32_t> pids;
  std::vector<std::uint32_t> groups;
  std::vector<std::uint32_t> targets;  // of kill(2): pids, and groups with a minus sign
};

void add_unique(std::vector<std::uint32_t>& to, std::uint32_t value) {
  if (std::find(to.begin(), to.end(), value) == to.end()) to.push_back(value);
}

Protected with_groups(const std::vector<pid_t>& pids) {
  Protected all;
  for (const pid_t pid : pids) {
    add_unique(all.pids, static_cast<std::uint32_t>(pid));
    const pid_t group = ::getpgid(pid);
    if (group > 1) add_unique(all.groups, static_cast<std::uint32_t>(group));
  }
  all.targets = all.pids;
  for (const std::uint32_t group : all.groups) add_unique(all.targets, 0U - group);
  add_unique(all.targets, 0xffffffffU);  // kill(-1)
  return all;
}

// Signals, and what ends or holds up a process as a signal does.
void add_signals(Program& program, const Protected& whom) {
  program.on(SYS_kill, [&] {
    program.load_argument(0);
    program.refuse_any(whom.targets);
  });
  for (const long call :
       {static_cast<long>(SYS_tkill), static_cast<long>(SYS_tgkill),
        static_cast<long>(SYS_rt_sigqueueinfo), static_cast<long>(SYS_rt_tgsigqueueinfo),
        syscall_numbers::kPidfdOpen, static_cast<long>(SYS_process_vm_readv),
        static_cast<long>(SYS_process_vm_writev)}) {
    program.on(call, [&] {
      program.load_argument(0);
      program.refuse_any(whom.pids);
    });
  }
  // A descriptor of somebody else's process, a GPU's for one. Of its own children a program has them otherwise.
  program.on(syscall_numbers::kPidfdGetfd, [&] { program.ret(kRefuse); });
  program.on(SYS_ptrace, [&] {
    program.load_argument(1);
    program.refuse_any(whom.pids);
  });
}

// Threads of a program are named by their numbers here, so only the protected ones can be refused.
void add_scheduling(Program& program, const Protected& whom) {
  for (const long call :
       {SYS_sched_setaffinity, SYS_sched_setscheduler, SYS_sched_setparam, SYS_sched_setattr}) {
    program.on(call, [&] {
      program.load_argument(0);
      program.refuse_any(whom.pids);
    });
  }
  // A group's number is its leader's pid, so both are refused for both kinds. By user: all of its processes.
  for (const long call : {SYS_setpriority, SYS_ioprio_set}) {
    const int user = call == SYS_setpriority ? PRIO_USER : 3;  // IOPRIO_WHO_USER
    program.on(call, [&] {
      program.load_argument(0);
      program.refuse_if(static_cast<std::uint32_t>(user));
      program.load_argument(1);
      program.refuse_any(whom.pids);
      program.refuse_any(whom.groups);
    });
  }
  program.on(SYS_prlimit64, [&] {  // of itself only, which is 0
    program.load_argument(0);
    program.unless_equal(0, kRefuse);
  });
}

}  // namespace

Result<void> enter_filter(const std::vector<pid_t>& protected_pids) {
  if (without().seccomp) return fail(ErrorCode::unsupported, "", "no seccomp filters here");
  const Protected whom = with_groups(protected_pids);
  Program program;
  add_signals(program, whom);
  add_scheduling(program, whom);
  std::vector<sock_filter>& code = program.finish();
  const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0) return {};
  return fail_errno(errno, "", "cannot set a seccomp filter");
}

}  // namespace gpuctl::fence::internal
