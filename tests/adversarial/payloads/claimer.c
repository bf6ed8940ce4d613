// claimer CLAIMS COUNT USEC: an independent witness that a GPU was given to one payload only.
//
// For each GPU that its masks show, COUNT in all, it takes flock(2) LOCK_EX on CLAIMS/GPU, which has nothing to do with the
// ledger's own locks, keeps it for USEC microseconds, and ends. A lock that somebody else has is a GPU given twice: a line in
// CLAIMS/double. CLAIMS/GPU.of is a link to the GPU that it is a part of, which its parts lock with LOCK_SH. The name of a MIG
// instance has slashes.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

static void tell(const char* folder, const char* file, const char* gpu) {
  char path[4096];
  char line[256];
  snprintf(path, sizeof path, "%s/%s", folder, file);
  const int size = snprintf(line, sizeof line, "%s %d %s\n", gpu, getpid(), getenv("GPUCTL_JOB_NONCE"));
  const int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, line, (size_t)size) != size) _exit(3);
  close(fd);
}

static int claim(const char* folder, const char* name, const char* gpu, int how) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  const int fd = open(path, O_RDONLY);  // kept until we end
  if (fd < 0) return 3;
  if (flock(fd, how | LOCK_NB) != 0) tell(folder, "double", gpu);
  return 0;
}

static int claim_whole_of(const char* folder, const char* gpu) {
  char link[4096];
  char whole[256];
  snprintf(link, sizeof link, "%s/%s.of", folder, gpu);
  const ssize_t size = readlink(link, whole, sizeof whole - 1);
  if (size < 0) return 0;
  whole[size] = 0;
  return claim(folder, whole, gpu, LOCK_SH);
}

// How many; -1: one of them is none that could be given.
static int claim_all(const char* folder, const char* mask) {
  int number = 0;
  char* gpus = mask != NULL ? strdup(mask) : NULL;
  if (gpus == NULL) return -1;
  if (strcmp(gpus, "-1") == 0) return 0;  // none of this vendor
  for (char* gpu = strtok(gpus, ","); gpu != NULL; gpu = strtok(NULL, ",")) {
    if (claim(folder, gpu, gpu, LOCK_EX) != 0 || claim_whole_of(folder, gpu) != 0) return -1;
    ++number;
  }
  return number;
}

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const int amd = claim_all(argv[1], getenv("ROCR_VISIBLE_DEVICES"));
  const int nvidia = claim_all(argv[1], getenv("CUDA_VISIBLE_DEVICES"));
  if (amd < 0 || nvidia < 0 || amd + nvidia != atoi(argv[2])) return 3;
  tell(argv[1], "served", argv[2]);
  usleep((useconds_t)atol(argv[3]));
  return 0;
}
