// Tries all that a process can do to another of the same user without a signal that ends it: `tamper PID…`. Prints a line
// for each that works.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void works(const char* name, int yes) {
  if (yes) printf("%s\n", name);
}

static int opens(pid_t pid, const char* file, int flags) {
  char path[128];
  char byte = 0;
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  int fd = open(path, flags);
  int yes = fd >= 0;
  if (yes && flags == O_WRONLY) yes = write(fd, "1000", 4) == 4;
  if (yes && flags == O_RDONLY) yes = pread(fd, &byte, 1, 0) >= 0;
  if (fd >= 0) close(fd);
  return yes;
}

static void signals(pid_t pid, pid_t group) {
  siginfo_t info;
  memset(&info, 0, sizeof info);
  info.si_code = SI_QUEUE;
  works("kill", kill(pid, 0) == 0);
  works("kill its group", group > 1 && kill(-group, 0) == 0);
  works("tgkill", syscall(SYS_tgkill, pid, pid, 0) == 0);
  works("tkill", syscall(SYS_tkill, pid, 0) == 0);
  works("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, pid, 0, &info) == 0);
  int fd = (int)syscall(434, pid, 0);  // pidfd_open
  works("pidfd_send_signal", fd >= 0 && syscall(424, fd, 0, NULL, 0) == 0);
}

static void limits(pid_t pid, pid_t group) {
  struct rlimit limit;
  struct sched_param parameters = {0};
  cpu_set_t cpus;
  getrlimit(RLIMIT_CORE, &limit);
  works("prlimit", syscall(SYS_prlimit64, pid, RLIMIT_CORE, &limit, NULL) == 0);
  works("sched_setaffinity", sched_getaffinity(0, sizeof cpus, &cpus) == 0 &&
                                 sched_setaffinity(pid, sizeof cpus, &cpus) == 0);
  works("sched_setscheduler", sched_setscheduler(pid, SCHED_BATCH, &parameters) == 0);
  works("setpriority", setpriority(PRIO_PROCESS, (id_t)pid, 1) == 0);
  works("setpriority of its group", group > 1 && setpriority(PRIO_PGRP, (id_t)group, 1) == 0);
  works("setpriority of its user", setpriority(PRIO_USER, 0, 1) == 0);
  works("ioprio_set", syscall(SYS_ioprio_set, 1, pid, 3 << 13) == 0);
}

static void memory(pid_t pid) {
  char byte = 0;
  struct iovec here = {&byte, 1};
  struct iovec there = {(void*)0x400000, 1};
  errno = 0;
  ssize_t size = process_vm_readv(pid, &here, 1, &there, 1, 0);
  works("process_vm_readv", size == 1 || errno == EFAULT);
  works("environ", opens(pid, "environ", O_RDONLY));
  works("mem", opens(pid, "mem", O_RDWR));
  works("root", opens(pid, "root/etc/passwd", O_RDONLY));
  works("oom_score_adj", opens(pid, "oom_score_adj", O_WRONLY));
  if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) {
    works("ptrace", 1);
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
  }
}

int main(int argc, char** argv) {
  for (int index = 1; index < argc; ++index) {
    pid_t pid = atoi(argv[index]);
    pid_t group = getpgid(pid);
    signals(pid, group);
    limits(pid, group);
    memory(pid);
  }
  return 0;
}
