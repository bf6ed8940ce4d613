// claimer CLAIMS USEC: an independent witness that a GPU was given to one payload only.
//
// For each GPU that its mask shows, it takes flock(2) LOCK_EX on CLAIMS/GPU, which has nothing to do with the ledger's own locks,
// keeps it for USEC microseconds, and ends. A lock that somebody else has is a GPU given twice: a line in CLAIMS/double.
// CLAIMS/GPU.of is a link to the GPU that it is a part of, which its parts lock with LOCK_SH.
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

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const char* mask = getenv("ROCR_VISIBLE_DEVICES");
  char* gpus = mask != NULL ? strdup(mask) : NULL;
  if (gpus == NULL) return 2;
  for (char* gpu = strtok(gpus, ","); gpu != NULL; gpu = strtok(NULL, ",")) {
    if (claim(argv[1], gpu, gpu, LOCK_EX) != 0 || claim_whole_of(argv[1], gpu) != 0) return 3;
  }
  tell(argv[1], "served", mask);
  usleep((useconds_t)atol(argv[2]));
  return 0;
}
