// Tries every way to open a device node that is not its own: `ways OTHER PILOT SCRATCH NEIGHBOURS MAJOR MINOR`. OTHER is the node as
// the host has it, PILOT a process outside, SCRATCH a folder that it may write to, NEIGHBOURS a folder of the host that
// holds OTHER. Prints a line for each way that works, then `tried N`. ENXIO counts as open: the driver was asked.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static int tried;
static const char* other;
static const char* scratch;

static int is_open(int fd) {
  int works = fd >= 0 || errno == ENXIO || errno == EBUSY || errno == EIO;
  if (fd >= 0) close(fd);
  return works;
}

static int opens_at(int dir, const char* path) {
  return is_open(openat(dir, path, O_RDWR | O_NONBLOCK | O_NOCTTY)) ||
         is_open(openat(dir, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
}

static void way(const char* name, int works) {
  ++tried;
  if (works) printf("OPEN %s\n", name);
}

static int is_node(const char* path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISCHR(status.st_mode);
}

// What a private /dev calls it.
static const char* name_in_dev(void) {
  const char* name = other;
  for (const char* at = other; (at = strstr(at, "/dev/")) != NULL; ++at) name = at;
  return name;
}

// By what it is called in the payload's /dev.
static void by_name(void) {
  char path[4096];
  const char* dev = name_in_dev();
  way("its path", opens_at(AT_FDCWD, other));
  way("its name", dev != other && is_node(dev) && opens_at(AT_FDCWD, dev));
  snprintf(path, sizeof path, "%s/link", scratch);
  way("a symbolic link", symlink(other, path) == 0 && opens_at(AT_FDCWD, path));
}

static void by_descriptor(void) {
  char path[64];
  int fd = open(other, O_PATH);
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  way("O_PATH, opened again", fd >= 0 && opens_at(AT_FDCWD, path));
  if (fd >= 0) close(fd);
  for (int number = 0; number < 64; ++number) {
    struct stat status;
    if (fstat(number, &status) != 0 || !S_ISDIR(status.st_mode)) continue;
    snprintf(path, sizeof path, "descriptor %d", number);
    way(path, opens_at(number, strrchr(other, '/') + 1));
    char up[4096];
    snprintf(up, sizeof up, "../../../../../../../..%s", other);
    way("upwards from a descriptor", opens_at(number, up));
  }
  char up[4096];
  snprintf(up, sizeof up, "../../../../../../../..%s", other);
  way("upwards from the working directory", opens_at(AT_FDCWD, up));
}

static void by_others(const char* pilot) {
  char path[4096];
  const char* pids[] = {pilot, "1", "self", "thread-self"};
  for (size_t index = 0; index < sizeof pids / sizeof *pids; ++index) {
    snprintf(path, sizeof path, "/proc/%s/root%s", pids[index], other);
    way(path, opens_at(AT_FDCWD, path));
    snprintf(path, sizeof path, "/proc/%s/cwd/../../../../../..%s", pids[index], other);
    way(path, opens_at(AT_FDCWD, path));
  }
  snprintf(path, sizeof path, "/proc/%s/ns/mnt", pilot);
  int fd = open(path, O_RDONLY);
  way("the pilot's mount namespace", fd >= 0 && setns(fd, CLONE_NEWNS) == 0 && opens_at(AT_FDCWD, other));
}

static int is_the_node(int fd, dev_t number) {
  struct stat status;
  return fd >= 0 && fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == number;
}

// In a child, which does not come back from the namespaces that it enters.
static void in_anothers_namespaces(int user, int mounts) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    if (user >= 0) setns(user, CLONE_NEWUSER);
    if (mounts < 0 || setns(mounts, CLONE_NEWNS) != 0) _exit(1);
    way("a neighbour's namespaces, its path", opens_at(AT_FDCWD, other));
    way("a neighbour's namespaces, its name", is_node(name_in_dev()) && opens_at(AT_FDCWD, name_in_dev()));
    fflush(stdout);
    _exit(0);
  }
  waitpid(child, NULL, 0);
  ++tried;
}

static void by_anothers_descriptors(const char* pid, dev_t number) {
  char path[512];
  int process = (int)syscall(434, atoi(pid), 0);  // pidfd_open
  for (int fd = 0; fd < 16; ++fd) {
    int copy = (int)syscall(438, process, fd, 0);  // pidfd_getfd
    if (is_the_node(copy, number)) way("a neighbour's descriptor, copied", 1);
    if (copy >= 0) close(copy);
    snprintf(path, sizeof path, "/proc/%s/fd/%d", pid, fd);
    struct stat status;
    if (stat(path, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == number)
      way("a neighbour's descriptor, opened anew", opens_at(AT_FDCWD, path));
  }
  if (process >= 0) close(process);
  ++tried;
}

// Whoever has it: other jobs of the same user, and their containers.
static void by_neighbours(unsigned major_number, unsigned minor_number) {
  DIR* all = opendir("/proc");
  for (struct dirent* entry; all != NULL && (entry = readdir(all)) != NULL;) {
    char path[512];
    if (atoi(entry->d_name) <= 1 || atoi(entry->d_name) == getpid()) continue;
    snprintf(path, sizeof path, "/proc/%s/ns/user", entry->d_name);
    int user = open(path, O_RDONLY);
    snprintf(path, sizeof path, "/proc/%s/ns/mnt", entry->d_name);
    int mounts = open(path, O_RDONLY);
    in_anothers_namespaces(user, mounts);
    if (user >= 0) close(user);
    if (mounts >= 0) close(mounts);
    snprintf(path, sizeof path, "/proc/%s/root%s", entry->d_name, name_in_dev());
    way("a neighbour's root", opens_at(AT_FDCWD, path));
    by_anothers_descriptors(entry->d_name, makedev(major_number, minor_number));
  }
  if (all != NULL) closedir(all);
}

static void by_another_name(const char* neighbours) {
  char path[4096];
  snprintf(path, sizeof path, "%s/hard", scratch);
  way("a hard link", link(other, path) == 0 && opens_at(AT_FDCWD, path));
  unlink(path);
  snprintf(path, sizeof path, "%s/renamed", neighbours);
  if (rename(other, path) == 0) {
    way("renamed", opens_at(AT_FDCWD, path));
    rename(path, other);
  }
  snprintf(path, sizeof path, "%s/moved", scratch);
  if (rename(other, path) == 0) {
    way("moved", opens_at(AT_FDCWD, path));
    rename(path, other);
  }
}

static void by_mknod(unsigned major_number, unsigned minor_number) {
  char path[4096];
  snprintf(path, sizeof path, "%s/made", scratch);
  int made = mknod(path, S_IFCHR | 0666, makedev(major_number, minor_number)) == 0;
  way("mknod", made && opens_at(AT_FDCWD, path));
  unlink(path);
}

static void seen_anew(const char* how) {
  char words[256];
  const char* dev = name_in_dev();
  snprintf(words, sizeof words, "%s, its path", how);
  way(words, opens_at(AT_FDCWD, other));
  snprintf(words, sizeof words, "%s, its name", how);
  way(words, dev != other && is_node(dev) && opens_at(AT_FDCWD, dev));
}

static void by_mounts(const char* how, const char* neighbours) {
  char path[4096];
  umount2("/dev", MNT_DETACH);
  umount2(neighbours, MNT_DETACH);
  seen_anew(how);
  snprintf(path, sizeof path, "%s/tree", scratch);
  mkdir(path, 0777);
  if (mount("/", path, NULL, MS_BIND, NULL) == 0 || mount("/", path, NULL, MS_BIND | MS_REC, NULL) == 0) {
    snprintf(path, sizeof path, "%s/tree%s", scratch, other);
    way("the root bound elsewhere", opens_at(AT_FDCWD, path));
  }
  snprintf(path, sizeof path, "%s/fresh", scratch);
  mkdir(path, 0777);
  if (mount("devtmpfs", path, "devtmpfs", 0, NULL) == 0) {
    strncat(path, strrchr(other, '/'), sizeof path - strlen(path) - 1);
    way("a fresh devtmpfs", opens_at(AT_FDCWD, path));
  }
  if (mount("tmpfs", path, "tmpfs", 0, NULL) == 0) way("mknod on a fresh tmpfs", 0);
}

// In a child, so that what it does to its namespaces does not follow us.
static void in_namespaces(int flags, const char* how, const char* neighbours, unsigned major_number, unsigned minor_number) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    tried = 0;
    if (flags == 0 || unshare(flags) == 0) {
      by_mounts(how, neighbours);
      by_mknod(major_number, minor_number);
    }
    fflush(stdout);
    _exit(tried);
  }
  int status = 0;
  waitpid(child, &status, 0);
  tried += WEXITSTATUS(status);
}

// Taking the job's device filter off (bpf(2), BPF_PROG_DETACH), with every cgroup that can be opened.
static void by_undoing(void) {
  char line[4096];
  FILE* file = fopen("/proc/self/cgroup", "r");
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, "0::", 3) != 0) continue;
    line[strcspn(line, "\n")] = '\0';
    const char* mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (int index = 0; index < 2; ++index) {
      char path[8192];
      snprintf(path, sizeof path, "%s%s", mounts[index], line + 3);
      struct { unsigned target, program, type, flags; } detach = {0, 0, 6, 0};
      int fd = open(path, O_RDONLY | O_DIRECTORY);
      detach.target = (unsigned)fd;
      for (detach.flags = 0; fd >= 0 && detach.flags < 3; ++detach.flags)
        syscall(SYS_bpf, 9, &detach, sizeof detach);
      if (fd >= 0) close(fd);
    }
  }
  if (file != NULL) fclose(file);
  way("after undoing the filter", opens_at(AT_FDCWD, other));
}

int main(int argc, char** argv) {
  if (argc != 7) return 98;
  other = argv[1];
  scratch = argv[3];
  unsigned major_number = (unsigned)atoi(argv[5]);
  unsigned minor_number = (unsigned)atoi(argv[6]);
  by_name();
  by_descriptor();
  by_others(argv[2]);
  by_neighbours(major_number, minor_number);
  by_another_name(argv[4]);
  by_mknod(major_number, minor_number);
  by_undoing();
  in_namespaces(0, "without /dev", argv[4], major_number, minor_number);
  in_namespaces(CLONE_NEWNS, "in a mount namespace", argv[4], major_number, minor_number);
  in_namespaces(CLONE_NEWUSER | CLONE_NEWNS, "in a user namespace", argv[4], major_number, minor_number);
  by_name();
  printf("tried %d\n", tried);
  return 0;
}
