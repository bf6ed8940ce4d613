#include "gpuctl/fence/restrict.hpp"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "landlock.hpp"
#include "seccomp.hpp"

namespace gpuctl::fence {
namespace {

Result<void> give_up_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return {};
  return fail_errno(errno, "", "cannot set no_new_privs");
}

// Whoever made us stands for all outside: it lives, and we are its child.
bool cannot_signal_outside() {
  const pid_t parent = ::getppid();
  return parent > 0 && ::kill(parent, 0) != 0 && errno == EPERM;
}

}  // namespace

Result<Restricted> restrict_self(const Restrictions& wanted) {
  Restricted done;
  const bool wants_files = wanted.landlock && !wanted.refused_nodes.empty();
  if (wanted.landlock && (wants_files || wanted.scope_signals)) {
    Result<Fd> ruleset = internal::make_ruleset(wanted.refused_nodes, wanted.scope_signals);
    Result<void> entered = ruleset ? give_up_new_privileges() : fail(ruleset.error());
    if (entered) entered = internal::enter_ruleset(*ruleset);
    if (!entered && wants_files) return fail(entered.error());
    if (!entered) done.notes.push_back("landlock: " + entered.error().message());
    done.landlock = entered && wants_files;
    done.scopes_signals = entered && wanted.scope_signals && cannot_signal_outside();
  }
  if (wanted.seccomp) {
    Result<void> entered = give_up_new_privileges();
    if (entered) entered = internal::enter_filter(wanted.protected_pids);
    if (!entered) done.notes.push_back("seccomp: " + entered.error().message());
    done.seccomp = entered.has_value();
  }
  return done;
}

}  // namespace gpuctl::fence
