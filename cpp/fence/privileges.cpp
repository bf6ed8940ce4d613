#include "privileges.hpp"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "gpuctl/base/fd.hpp"
#include "gpuctl/base/host_paths.hpp"

namespace gpuctl::fence::internal {
namespace {

constexpr int kHighest = 63;
constexpr int kOomShift = 500;
constexpr int kOomMost = 1000;

// Those that Podman leaves to the root of a container.
constexpr std::array<int, 11> kKept = {CAP_CHOWN,  CAP_DAC_OVERRIDE,     CAP_FOWNER,    CAP_FSETID,
                                       CAP_KILL,   CAP_NET_BIND_SERVICE, CAP_SETFCAP,   CAP_SETGID,
                                       CAP_SETUID, CAP_SETPCAP,          CAP_SYS_CHROOT};

std::uint64_t kept_bits(bool in_user_namespace) {
  std::uint64_t bits = 0;
  if (in_user_namespace) return bits;
  for (const int each : kKept) bits |= std::uint64_t{1} << each;
  return bits;
}

// What exec can give back to a root, or to a file with capabilities.
bool drop_bounding(std::uint64_t kept) {
  for (int each = 0; each <= kHighest; ++each) {
    if (((kept >> each) & 1) != 0) continue;
    if (::prctl(PR_CAPBSET_DROP, each, 0, 0, 0) != 0) return errno == EINVAL;  // past the last one
  }
  return true;
}

bool keep_only(std::uint64_t kept) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> now{};
  if (::syscall(SYS_capget, &header, now.data()) != 0) return false;
  for (std::size_t half = 0; half < now.size(); ++half) {
    const auto bits = static_cast<std::uint32_t>(kept >> (32 * half));
    now[half].permitted &= bits;
    now[half].effective &= bits;
    now[half].inheritable = 0;
  }
  return ::syscall(SYS_capset, &header, now.data()) == 0;
}

}  // namespace

const char* drop_capabilities(bool in_user_namespace) {
  if (!in_user_namespace && ::geteuid() != 0) return nullptr;
  const std::uint64_t kept = kept_bits(in_user_namespace);
  // A root without CAP_SETPCAP (of a container) keeps its bounding set; no_new_privs then keeps exec from giving it back.
  const bool bounded = drop_bounding(kept);
  if (!bounded && errno != EPERM) return "drop capabilities";
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);  // absent before 4.3
  if (!keep_only(kept)) return "drop capabilities";
  if ((in_user_namespace || !bounded) && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return "set no_new_privs";
  return nullptr;
}

void leave_session_keyring() {
  constexpr int kJoinSessionKeyring = 1;  // KEYCTL_JOIN_SESSION_KEYRING; no name: a new one
  const int saved = errno;
  ::syscall(SYS_keyctl, kJoinSessionKeyring, nullptr);
  errno = saved;
}

void offer_to_memory_killer() {
  const Fd file(::open(host_paths::kLiveSelfOomScoreAdj, O_RDWR | O_CLOEXEC));
  if (!file) return;
  std::array<char, 16> text{};
  if (::read(file.get(), text.data(), text.size() - 1) <= 0) return;
  const long wanted = std::min<long>(std::strtol(text.data(), nullptr, 10) + kOomShift, kOomMost);
  const int length = std::snprintf(text.data(), text.size(), "%ld", wanted);
  // refused only where a lower one was set with privilege: then it stays as it is
  if (::pwrite(file.get(), text.data(), static_cast<std::size_t>(length), 0) < 0) errno = 0;
}

}  // namespace gpuctl::fence::internal
