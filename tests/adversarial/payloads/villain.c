// Payloads that misbehave, one per name: `villain NAME [BEATS]`.
// Some take a number behind BEATS.
//
// A process that must be found dead later counts in the file BEATS; everything ends by itself after 60 seconds and stays
// below 200 processes (`wide` has as many as it is told), so that a failed test leaves nothing behind.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static volatile uint64_t* beats;

static void open_beats(const char* path) {
  int fd = open(path, O_RDWR | O_CREAT, 0666);
  if (fd < 0 || ftruncate(fd, 4096) != 0) _exit(98);
  beats = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (beats == MAP_FAILED) _exit(98);
  close(fd);
}

static time_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

static void beat(void) { __atomic_add_fetch(beats, 1, __ATOMIC_RELAXED); }

static void beat_on(void) {
  for (time_t end = now() + 60; now() < end; usleep(1000)) beat();
}

static void beat_forever(void) {
  beat_on();
  _exit(0);
}

static void wait_for_beats(void) {
  while (*beats == 0) usleep(500);
}

// ---- killers: each tries to kill what it should not reach, then says that it lived ----

static int kill_zero(void) { return kill(0, SIGKILL); }

static int kill_all(void) { return kill(-1, SIGKILL) == 0 ? 0 : 10; }

static int kill_parent(void) {
  pid_t parent = getppid();
  return parent > 0 && kill(parent, SIGKILL) == 0 ? 0 : 10;
}

static int kill_listed(void) {
  DIR* proc = opendir("/proc");
  for (struct dirent* each = readdir(proc); each != NULL; each = readdir(proc)) {
    pid_t pid = atoi(each->d_name);
    if (pid > 0 && pid != getpid()) kill(pid, SIGKILL);
  }
  return 0;
}

static int kill_many_numbers(void) {
  for (pid_t pid = 1; pid < 5000; ++pid) {
    if (pid == getpid()) continue;
    kill(pid, SIGKILL);
    if (pid > 1) kill(-pid, SIGKILL);
    prlimit(pid, RLIMIT_CPU, &(struct rlimit){0, 0}, NULL);
  }
  return 0;
}

// What needs no signal: traces, idles, limits and offers to the memory killer whatever has a number.
static int abuse_numbers(void) {
  struct sched_param lowest = {0};
  for (pid_t pid = 1; pid < 5000; ++pid) {
    char place[64];
    if (pid == getpid()) continue;
    ptrace(PTRACE_SEIZE, pid, 0, 0);
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    sched_setscheduler(pid, SCHED_IDLE, &lowest);
    setpriority(PRIO_PROCESS, (id_t)pid, 19);
    prlimit(pid, RLIMIT_NOFILE, &(struct rlimit){0, 0}, NULL);
    snprintf(place, sizeof place, "/proc/%d/oom_score_adj", pid);
    int fd = open(place, O_WRONLY);
    if (fd >= 0 && write(fd, "1000", 4) == 4) close(fd);
  }
  return 0;
}

// ---- stayers ----

static int daemonize(void) {
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    beat_forever();
  }
  wait(NULL);
  wait_for_beats();
  return 0;
}

static int daemonize_envless(char* self, char* path) {
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    char* arguments[] = {"kworker/0:1", "beat", path, NULL};
    char* nothing[] = {NULL};
    execve(self, arguments, nothing);
    _exit(97);
  }
  wait(NULL);
  wait_for_beats();
  return 0;
}

static int stay(int code) {
  sleep(60);
  return code;
}

static int ignore_term(void) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
  beat_forever();
  return 0;
}

static volatile sig_atomic_t terms;

static void on_term(int number) {
  (void)number;
  ++terms;
  if (fork() == 0) beat_on();
}

// A second TERM would be seen as exit code 9.
static int fork_on_term(void) {
  signal(SIGTERM, on_term);
  for (time_t end = now() + 60; now() < end; usleep(1000)) {
    beat();
    if (terms > 1) _exit(9);
  }
  return 0;
}

static void count_term(int number) {
  (void)number;
  ++terms;
}

static int die_slowly(void) {
  signal(SIGTERM, count_term);
  while (terms == 0) {
    beat();
    usleep(1000);
  }
  return 7;
}

static int stop_itself(void) {
  beat();
  raise(SIGSTOP);
  return 0;
}

static int ptrace_pair(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    beat_forever();
  }
  waitpid(child, NULL, __WALL);
  beat();
  sleep(60);
  return 0;
}

// Fork, parent exits, child makes a session of its own, again: no list of processes is ever right.
static int comet(void) {
  time_t end = now() + 60;
  for (int chain = 0; chain < 8; ++chain) {
    if (fork() != 0) continue;
    while (now() < end) {
      setsid();
      beat();
      pid_t next = fork();
      if (next > 0) _exit(0);
      if (next < 0) usleep(1000);
      usleep(200);
    }
    _exit(0);
  }
  sleep(60);
  return 0;
}

// As many processes as the limit allows, each trying to make more.
static int bomb(void) {
  setrlimit(RLIMIT_NPROC, &(struct rlimit){120, 120});
  volatile uint64_t* made = beats + 1;
  const pid_t first = getpid();
  for (int round = 0; round < 7; ++round) fork();
  for (time_t end = now() + 60; now() < end; usleep(2000)) {
    beat();
    if (__atomic_load_n(made, __ATOMIC_RELAXED) > 200) continue;
    pid_t pid = fork();
    if (pid == 0) __atomic_add_fetch(made, 1, __ATOMIC_RELAXED);
    if (pid > 0 && getpid() != first && getpid() % 2 == 0) _exit(0);
  }
  return 0;
}

// Eight that watch each other: whoever sees a child end makes two, whoever loses its parent makes one more.
static int phoenix(void) {
  volatile uint64_t* made = beats + 1;
  for (int i = 0; i < 3; ++i) fork();
  pid_t parent = getppid();
  signal(SIGTERM, SIG_IGN);
  for (time_t end = now() + 60; now() < end; usleep(500)) {
    beat();
    int heirs = (waitpid(-1, NULL, WNOHANG) > 0 ? 2 : 0) + (getppid() != parent ? 1 : 0);
    parent = getppid();
    for (; heirs > 0 && __atomic_add_fetch(made, 1, __ATOMIC_RELAXED) < 400; --heirs) {
      if (fork() == 0) parent = getppid();
    }
  }
  return 0;
}

// `count` processes that do nothing but try to fork.
static int wide(unsigned count) {
  setrlimit(RLIMIT_NPROC, &(struct rlimit){count, count});
  volatile uint64_t* made = beats + 1;
  while (__atomic_add_fetch(made, 1, __ATOMIC_RELAXED) < count) {
    pid_t pid = fork();
    if (pid < 0) break;
    if (pid == 0 && getppid() == 1) break;
  }
  for (time_t end = now() + 30; now() < end;) {
    beat();
    if (geteuid() == 0) {  // whom no limit binds
      usleep(1000);
      continue;
    }
    pid_t pid = fork();
    if (pid == 0) beat();
  }
  return 0;
}

// `chains` lines of processes, each of which lives for a moment: fork, the parent exits, the child leaves the session.
static int comets(int chains) {
  time_t end = now() + 30;
  for (int chain = 0; chain < chains; ++chain) {
    if (fork() != 0) continue;
    while (now() < end) {
      setsid();
      beat();
      if (fork() > 0) _exit(0);
    }
    _exit(0);
  }
  sleep(30);
  return 0;
}

// A tree that nobody has seen before: forks, daemons, sessions, threads whose leader is gone, the stopped and the deaf.
static unsigned dice;
static unsigned roll(unsigned sides) {
  dice = dice * 1103515245U + 12345U;
  return (dice >> 16) % sides;
}
static void* worker(void* unused);

static int forest(unsigned seed, int depth) {
  volatile uint64_t* made = beats + 1;
  dice = seed;
  for (unsigned i = roll(4) + (depth == 0 ? 1 : 0); i > 0 && depth < 5; --i) {
    if (__atomic_add_fetch(made, 1, __ATOMIC_RELAXED) > 50) break;
    unsigned next = seed * 31 + i;
    if (fork() != 0) {
      usleep(roll(3000));
      continue;
    }
    unsigned way = roll(5);
    if (way == 0 && fork() != 0) _exit(0);  // a daemon of its parent's session
    if (way == 1) {
      setsid();
      if (fork() != 0) _exit(0);
    }
    if (way == 2) setsid();
    return forest(next, depth + 1);
  }
  pthread_t thread;
  switch (roll(7)) {
    case 0: signal(SIGTERM, SIG_IGN); break;
    case 1: beat(), raise(SIGSTOP); break;
    case 2: pthread_create(&thread, NULL, worker, NULL), syscall(SYS_exit, 0); break;
    case 3: prctl(PR_SET_NAME, "x) Z 1 (\n"); break;
    case 4: _exit(depth == 0 ? (beat_on(), 0) : 0);
    default: break;
  }
  beat_on();
  return 0;
}

static void* worker(void* unused) {
  (void)unused;
  beat_forever();
  return NULL;
}

static int leader_exits(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, worker, NULL);
  syscall(SYS_exit, 0);
  return 0;
}

static void* forking_worker(void* unused) {
  if (fork() == 0) beat_forever();
  return unused;
}

static int thread_forks(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, forking_worker, NULL);
  sleep(60);
  return 0;
}

static int odd_name(const char* name) {
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    prctl(PR_SET_NAME, name);
    signal(SIGTERM, SIG_IGN);
    beat_forever();
  }
  wait_for_beats();
  return 0;
}

static int zombies(void) {
  signal(SIGTERM, SIG_DFL);
  int made = 0;
  for (; made < 500; ++made) {
    pid_t pid = fork();
    if (pid == 0) _exit(0);
    if (pid < 0) break;
    siginfo_t info;
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);  // it has ended, and stays
  }
  beat();
  sleep(60);
  return made == 500 ? 0 : 96;
}

static int subreaper(void) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  daemonize();
  beat_forever();
  return 0;
}

static int nested(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS) != 0) {
    fprintf(stderr, "unshare: %s\n", strerror(errno));
    beat_forever();  // refused here: still a payload that has to be ended
  }
  if (fork() == 0) {
    signal(SIGTERM, SIG_IGN);
    if (fork() == 0) {
      setsid();
      beat_forever();
    }
    beat_forever();
  }
  sleep(60);
  return 0;
}

static int close_all(void) {
  for (int fd = 0; fd < 1024; ++fd) close(fd);
  beat_forever();
  return 0;
}

static int vfork_parent(void) {
  if (vfork() == 0) {
    for (time_t end = now() + 60; now() < end; usleep(1000)) beat();
    _exit(0);
  }
  return 0;
}

static int spawner_thread_ends(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, forking_worker, NULL);
  pthread_join(thread, NULL);
  wait_for_beats();
  return 0;
}

// ---- tellers ----

static int tell_signals(void) {
  sigset_t mask;
  sigprocmask(SIG_SETMASK, NULL, &mask);
  for (int number = 1; number < 65; ++number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) != 0) continue;
    if (action.sa_handler != SIG_DFL) printf("%d is not default\n", number);
    if (sigismember(&mask, number) == 1) printf("%d is blocked\n", number);
  }
  return 0;
}

static int tell_descriptors(void) {
  DIR* folder = opendir("/proc/self/fd");
  for (struct dirent* each = readdir(folder); each != NULL; each = readdir(folder)) {
    int fd = atoi(each->d_name);
    if (each->d_name[0] != '.' && fd != dirfd(folder)) printf("%d\n", fd);
  }
  return 0;
}

static void on_user_signal(int number) {
  printf("got %d\n", number == SIGUSR1 ? 1 : 2), fflush(stdout), ++terms;
}

static int tell_user_signal(void) {
  signal(SIGUSR1, on_user_signal);
  signal(SIGUSR2, on_user_signal);
  beat();
  for (time_t end = now() + 30; now() < end && terms < 2;) usleep(1000);
  return 0;
}

static volatile sig_atomic_t interrupted;
static void on_int(int number) {
  (void)number;
  interrupted = 1;
}

static int end_on_int(void) {
  signal(SIGINT, on_int);
  signal(SIGTERM, SIG_IGN);
  for (time_t end = now() + 60; now() < end && interrupted == 0; usleep(1000)) beat();
  return interrupted ? 42 : 0;
}

static int crash(void) { return *(volatile int*)(uintptr_t)8; }

int main(int argc, char** argv) {
  const char* name = argc > 1 ? argv[1] : "";
  if (argc > 2) open_beats(argv[2]);
#define CASE(word, call) \
  if (strcmp(name, word) == 0) return call
  CASE("kill-zero", kill_zero());
  CASE("kill-all", kill_all());
  CASE("kill-parent", kill_parent());
  CASE("kill-listed", kill_listed());
  CASE("kill-numbers", kill_many_numbers());
  CASE("abuse-numbers", abuse_numbers());
  CASE("phoenix", phoenix());
  CASE("wide", wide((unsigned)atoi(argv[3])));
  CASE("comets", comets(atoi(argv[3])));
  CASE("forest", forest((unsigned)atoi(argv[3]), 0));
  CASE("beat", (beat_forever(), 0));
  CASE("daemon", daemonize());
  CASE("daemon-envless", daemonize_envless("/proc/self/exe", argv[2]));
  CASE("daemon-stays", stay(daemonize()));
  CASE("daemon-envless-stays", stay(daemonize_envless("/proc/self/exe", argv[2])));
  CASE("odd-name-stays", stay(odd_name("x) Z 1 (\n")));
  CASE("ignore-term", ignore_term());
  CASE("fork-on-term", fork_on_term());
  CASE("die-slowly", die_slowly());
  CASE("stopped", stop_itself());
  CASE("traced", ptrace_pair());
  CASE("comet", comet());
  CASE("bomb", bomb());
  CASE("leader-exits", leader_exits());
  CASE("thread-forks", thread_forks());
  CASE("spawner-thread-ends", spawner_thread_ends());
  CASE("odd-name", odd_name("x) Z 1 (\n"));
  CASE("same-name", odd_name("gpuctl"));
  CASE("zombies", zombies());
  CASE("subreaper", subreaper());
  CASE("nested", nested());
  CASE("close-all", close_all());
  CASE("vfork", vfork_parent());
  CASE("tell-signals", tell_signals());
  CASE("tell-descriptors", tell_descriptors());
  CASE("tell-user-signals", tell_user_signal());
  CASE("end-on-int", end_on_int());
  CASE("crash", crash());
  fprintf(stderr, "villain: no payload `%s`\n", name);
  return 95;
}
