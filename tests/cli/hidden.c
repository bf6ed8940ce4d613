/* A process whose files /proc hides with hidepid=2, also from its own user, and below it one that it does not. */
#include <sys/prctl.h>
#include <unistd.h>

int main(void) {
  prctl(PR_SET_DUMPABLE, 0);
  alarm(60);
  if (fork() == 0) execl("/bin/sleep", "sleep", "60", (char*)0);
  for (;;) pause();
}
