/* Stand-in processes for benches: `standins COUNT tree|flat` forks COUNT sleeping processes, prints the number of the
   first one below which all others are, and ends them all when its stdin is closed.

   Each only waits for a signal and ends by itself after ten minutes or when its parent ends, whatever becomes of the
   bench. `tree`: each process has up to three children; `flat`: all are children of the first. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_COUNT = 8000, SECONDS = 600 };

/* A parent that ended before PDEATHSIG was set sends none: it is checked once more. */
static void follow(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(SECONDS);
  if (getppid() != parent) _exit(1);
}

static void fork_children(int count, int width, int ready);

static void child(int count, int width, pid_t parent, int ready) {
  follow(parent);
  fork_children(count, width, ready);
  if (write(ready, "x", 1) != 1) _exit(1);
  for (;;) pause();
}

/* `count` processes below this one, in at most `width` children of even size. */
static void fork_children(int count, int width, int ready) {
  const pid_t self = getpid();
  int left = count;
  for (int i = 0; i < width && left > 0; ++i) {
    const int share = (left + (width - i) - 1) / (width - i);
    const pid_t pid = fork();
    if (pid < 0) _exit(2);
    if (pid == 0) child(share - 1, width, self, ready);
    left -= share;
  }
}

static pid_t start(int count, int width, int ready) {
  const pid_t self = getpid();
  const pid_t pid = fork();
  if (pid == 0) child(count - 1, width, self, ready);
  return pid;
}

int main(int argc, char** argv) {
  const int count = argc == 3 ? atoi(argv[1]) : 0;
  int ready[2];
  if (count < 1 || count > MAX_COUNT || pipe(ready) != 0) return 2;
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  alarm(SECONDS);
  const pid_t first = start(count, strcmp(argv[2], "tree") == 0 ? 3 : count, ready[1]);
  char byte;
  for (int i = 0; i < count; ++i)
    if (first < 0 || read(ready[0], &byte, 1) != 1) return 3;
  printf("%d\n", (int)first);
  fflush(stdout);
  while (read(0, &byte, 1) > 0) continue;
  kill(first, SIGKILL); /* its children follow it, and theirs them; all become ours to reap */
  while (waitpid(-1, NULL, 0) > 0) continue;
  return 0;
}
