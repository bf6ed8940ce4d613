// A file system that hangs: `stuck DIR`. It mounts itself on DIR, answers FUSE_INIT, and no request after that. Whoever
// touches DIR waits in the kernel, and a KILL does not end that wait: the request has been taken and was not answered. It ends
// with this process, after 100 seconds at the latest. Its name is "asked" from the first such request on.
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

static char request[1 << 20];

static void greet(int fd) {
  const struct fuse_in_header* in = (const struct fuse_in_header*)request;
  struct {
    struct fuse_out_header header;
    struct fuse_init_out body;
  } reply;
  memset(&reply, 0, sizeof reply);
  reply.header.len = sizeof reply;
  reply.header.unique = in->unique;
  reply.body.major = FUSE_KERNEL_VERSION;
  reply.body.minor = 31;
  reply.body.max_write = 4096;
  if (write(fd, &reply, sizeof reply) != sizeof reply) _exit(96);
}

int main(int argc, char** argv) {
  char options[80];
  const int fd = open("/dev/fuse", O_RDWR);
  if (argc < 2 || fd < 0) return 98;
  alarm(100);
  snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fd);
  if (mount("stuck", argv[1], "fuse", 0, options) != 0) return 97;
  for (;;) {
    if (read(fd, request, sizeof request) < 0) return 0;
    if (((const struct fuse_in_header*)request)->opcode == FUSE_INIT) {
      greet(fd);
    } else {
      prctl(PR_SET_NAME, "asked");
    }
  }
}
