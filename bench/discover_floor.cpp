// The floor of an inventory: the files that `gpuctl discover` reads of a node, in a bare loop, with nothing parsed but
// what is needed to know which functions are GPUs. A program of its own, as the one that it is compared with.
//
//   discover_floor ROOT      prints the number of GPUs
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <initializer_list>

namespace {

const char* const kOfGpus[] = {"class",         "vendor",       "device",      "uevent",
                               "revision",      "numa_node",    "local_cpulist", "sriov_numvfs",
                               "power_state",   "config",       "aer_dev_fatal"};

ssize_t read_file(int folder, const char* name, char* buffer, size_t size) {
  const int fd = ::openat(folder, name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  const ssize_t count = ::read(fd, buffer, size - 1);
  ::close(fd);
  buffer[count > 0 ? count : 0] = 0;
  return count;
}

void read_gpu(int devices, const char* address) {
  char buffer[4096];
  const int folder = ::openat(devices, address, O_PATH | O_DIRECTORY | O_CLOEXEC);
  for (const char* name : kOfGpus) read_file(folder, name, buffer, sizeof buffer);
  for (const char* name : {"driver", "physfn"})
    static_cast<void>(::readlinkat(folder, name, buffer, sizeof buffer) < 0);
  ::close(folder);
}

void read_proc(int root, const char* address) {
  char path[128];
  char buffer[4096];
  std::snprintf(path, sizeof path, "proc/driver/nvidia/gpus/%s/information", address);
  read_file(root, path, buffer, sizeof buffer);
}

}  // namespace

int main(int argc, char** argv) {
  const int root = ::open(argc > 1 ? argv[1] : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int devices = ::openat(root, "sys/bus/pci/devices", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = ::fdopendir(devices);
  if (listing == nullptr) return 1;
  int gpus = 0;
  while (const dirent* entry = ::readdir(listing)) {
    if (entry->d_name[0] == '.') continue;
    char path[300];
    char uevent[4096];
    std::snprintf(path, sizeof path, "%s/uevent", entry->d_name);
    if (read_file(devices, path, uevent, sizeof uevent) <= 0) continue;
    if (std::strstr(uevent, "PCI_CLASS=30200") == nullptr) continue;
    read_gpu(devices, entry->d_name);
    read_proc(root, entry->d_name);
    ++gpus;
  }
  std::printf("%d\n", gpus);
  return 0;
}
