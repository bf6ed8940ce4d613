// A session keyring with a pilot's secret in it: `keyring COMMAND...` makes one and becomes COMMAND, `keyring` says whether the
// secret can be found from here.
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { JOIN = 1, SEARCH = 10, SESSION = -3 };  // keyctl(2)

int main(int argc, char** argv) {
  static const char kName[] = "gpuctl-test-secret";
  if (argc == 1) {
    puts(syscall(SYS_keyctl, SEARCH, SESSION, "user", kName, 0) > 0 ? "found" : "none");
    return 0;
  }
  if (syscall(SYS_keyctl, JOIN, "gpuctl-test") < 0) return 77;
  if (syscall(SYS_add_key, "user", kName, "s", (size_t)1, SESSION) < 0) return 77;
  execvp(argv[1], argv + 1);
  return 99;
}
