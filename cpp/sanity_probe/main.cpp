// gpuctl-sanity-probe: goes through the levels inside the container, one JSON object a line on stdout.
//
//   gpuctl-sanity-probe --api opencl --expect 0000:63:00.0= --bytes 268435456 --foreign /dev/nvidia1
//
//   {"level":"memory","state":"begin"}                            so that a caller knows where it hung
//   {"level":"memory","result":"fail","usec":5120,"device":1,"detail":"…"}    pass, fail or skip; of which device in the list
//   {"versions":{…}}, {"device":{…}}                              what was found, on the way
//
// --expect ADDRESS=UUID, once for each GPU of the job; either may be empty where it is not known. A level that fails ends
// the run, but for the foreign nodes, which are looked at in any case. Exit 0 when all hold, 1 when one does not, 2 for a
// wrong call. Time limits are the caller's: whoever hangs in a driver cannot end itself.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <initializer_list>

#include "interface.hpp"

namespace sanity {
namespace {

constexpr int kMaxForeign = 256;

struct Expected {
  char pci_address[32];
  const char* uuid;
};

struct Options {
  const Interface* interface = nullptr;
  std::uint64_t bytes = std::uint64_t{256} << 20;
  Expected expected[kMaxDevices];
  int expected_count = 0;
  bool any_devices = false;
  const char* foreign[kMaxForeign];
  int foreign_count = 0;
};

void put(const char* text) {
  std::size_t left = std::strlen(text);
  while (left > 0) {
    const ssize_t done = write(STDOUT_FILENO, text, left);
    if (done <= 0) _exit(3);  // nobody reads any more
    text += done;
    left -= static_cast<std::size_t>(done);
  }
}

void put_string(const char* text) {
  Text quoted;
  quoted.add("\"");
  for (; *text != '\0'; ++text) {
    const auto c = static_cast<unsigned char>(*text);
    const char one[2] = {*text, '\0'};
    if (c == '"' || c == '\\') {
      quoted.add("\\").add(one);
    } else if (c < 0x20 || c > 0x7e) {
      quoted.add("\\u").add_hex(c, 4);
    } else {
      quoted.add(one);
    }
    if (quoted.length > sizeof quoted.data - 16) break;
  }
  put(quoted.add("\"").data);
}

void put_member(const char* name, const char* value, bool first = false) {
  put(first ? "" : ",");
  put_string(name);
  put(":");
  put_string(value);
}

void put_number(const char* name, std::uint64_t value) {
  Text text;
  put(text.add(",\"").add(name).add("\":").add(value).data);
}

class Level {
 public:
  explicit Level(const char* name) : name_(name), started_(now_usec()) {
    put("{");
    put_member("level", name, true);
    put_member("state", "begin");
    put("}\n");
  }

  bool end(const char* result, const Text& detail, int device = -1) const {
    put("{");
    put_member("level", name_, true);
    put_member("result", result);
    put_number("usec", now_usec() - started_);
    if (device >= 0) put_number("device", static_cast<std::uint64_t>(device));
    put_member("detail", detail.data);
    put("}\n");
    return !equal(result, "fail");
  }

  bool end(bool passed, const Text& detail) const { return end(passed ? "pass" : "fail", detail); }

 private:
  const char* name_;
  std::uint64_t started_;
};

Device devices[kMaxDevices];
int device_count = 0;

bool starts() {
  Text nothing;
  return Level("starts").end(true, nothing);
}

bool libraries(const Options& options) {
  Level level("libraries");
  Versions versions;
  Text why;
  const bool good = options.interface->load(versions, why);
  put("{\"versions\":{");
  put_member("library", versions.library.data, true);
  put_member("runtime", versions.runtime.data);
  put_member("driver", versions.driver.data);
  put("}}\n");
  return level.end(good, good ? versions.library : why);
}

void put_device(const Device& device) {
  put("{\"device\":{");
  put_member("name", device.name.data, true);
  put_member("pci_address", device.pci_address.data);
  put_member("uuid", device.uuid.data);
  put_member("capability", device.capability.data);
  put_number("memory_bytes", device.memory_bytes);
  put("}}\n");
}

bool is(const Device& device, const Expected& expected) {
  const bool by_uuid = device.uuid.length > 0 && expected.uuid[0] != '\0';
  if (by_uuid) return equal_ignoring_case(device.uuid.data, expected.uuid);
  if (device.pci_address.length == 0 || expected.pci_address[0] == '\0') return true;
  return equal_ignoring_case(device.pci_address.data, expected.pci_address);
}

// Each expected GPU takes one device; a device that tells nothing about itself could be any.
bool all_found(const Options& options, Text& why) {
  bool taken[kMaxDevices] = {};
  for (int i = 0; i < options.expected_count; ++i) {
    int found = 0;
    while (found < device_count && (taken[found] || !is(devices[found], options.expected[i])))
      ++found;
    if (found < device_count) {
      taken[found] = true;
      continue;
    }
    why.add("`").add(options.expected[i].pci_address).add("` is not among the devices");
    for (int at = 0; at < device_count; ++at)
      why.add(at == 0 ? ": " : ", ")
          .add(devices[at].pci_address.data)
          .add(" ")
          .add(devices[at].uuid.data);
    return false;
  }
  return true;
}

bool compare(const Options& options, Text& why) {
  if (options.any_devices) {
    if (device_count == 0) why.add("no device was found");
    return device_count > 0;
  }
  if (device_count == 0 && options.expected_count > 0) {
    why.add("no device is seen, assigned are ");
    why.add(static_cast<std::uint64_t>(options.expected_count));
    return false;
  }
  if (device_count != options.expected_count) {
    why.add(static_cast<std::uint64_t>(device_count)).add(" devices, assigned are ");
    why.add(static_cast<std::uint64_t>(options.expected_count));
    return false;
  }
  return all_found(options, why);
}

bool list_devices(const Options& options) {
  Level level("devices");
  Text why;
  bool good = options.interface->list(devices, &device_count, why);
  for (int i = 0; i < device_count; ++i) put_device(devices[i]);
  if (good) good = compare(options, why);
  if (good) why.add(static_cast<std::uint64_t>(device_count)).add(" found");
  return level.end(good, why);
}

bool memory(const Options& options) {
  Level level("memory");
  Text why;
  for (int i = 0; i < device_count; ++i) {
    if (!options.interface->memory(i, options.bytes, why)) return level.end("fail", why, i);
  }
  return level.end(true, why.add(options.bytes).add(" bytes of each"));
}

bool compute(const Options& options) {
  Level level("compute");
  Text why;
  for (int i = 0; i < device_count; ++i) {
    if (!options.interface->compute(i, why)) return level.end("fail", why, i);
  }
  return level.end(true, why.add(kElements).add(" elements on each"));
}

// ENXIO comes from a driver: then the fence let us through.
bool refused(const char* path, Text& why) {
  const int fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
  const int error = errno;
  if (fd < 0 && (error == ENOENT || error == EACCES || error == EPERM || error == ENOTDIR))
    return true;
  if (fd >= 0) close(fd);
  why.add("`").add(path).add(fd >= 0 ? "` can be opened" : "` is reached: ");
  if (fd < 0) why.add(std::strerror(error));
  return false;
}

bool others(const Options& options) {
  Level level("others");
  Text why;
  if (options.foreign_count == 0) return level.end("skip", why.add("there are no others"));
  for (int i = 0; i < options.foreign_count; ++i) {
    if (!refused(options.foreign[i], why)) return level.end(false, why);
  }
  return level.end(true,
                   why.add(static_cast<std::uint64_t>(options.foreign_count)).add(" refused"));
}

bool find_interface(const char* name, Options& options) {
  for (const Interface* each : {&kCuda, &kHip, &kLevelZero, &kOpenCl}) {
    if (equal(each->name, name)) options.interface = each;
  }
  return options.interface != nullptr;
}

bool add_expected(char* text, Options& options) {
  char* equals = std::strchr(text, '=');
  if (equals == nullptr || options.expected_count == kMaxDevices) return false;
  Expected& added = options.expected[options.expected_count++];
  const auto length = static_cast<std::size_t>(equals - text);
  if (length >= sizeof added.pci_address) return false;
  std::memcpy(added.pci_address, text, length);
  added.pci_address[length] = '\0';
  added.uuid = equals + 1;
  return true;
}

bool take(const char* flag, char* value, Options& options) {
  if (equal(flag, "--api")) return find_interface(value, options);
  if (equal(flag, "--bytes"))
    return parse_number(value, &options.bytes) && options.bytes > 0 && options.bytes % 8 == 0;
  if (equal(flag, "--expect")) return add_expected(value, options);
  if (!equal(flag, "--foreign") || options.foreign_count == kMaxForeign) return false;
  options.foreign[options.foreign_count++] = value;
  return true;
}

bool parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    if (equal(argv[i], "--cpu-device")) {
      with_cpu_devices = true;
    } else if (equal(argv[i], "--any-devices")) {
      options.any_devices = true;
    } else {
      if (i + 1 == argc || !take(argv[i], argv[i + 1], options)) return false;
      ++i;
    }
  }
  return options.interface != nullptr;
}

}  // namespace

int run(int argc, char** argv) {
  static Options options;
  if (!parse(argc, argv, options)) {
    constexpr char kWords[] = "gpuctl-sanity-probe: wrong call; it is started by `gpuctl sanity`\n";
    return write(STDERR_FILENO, kWords, sizeof kWords - 1) < 0 ? 3 : 2;
  }
  const bool works = starts() && libraries(options) && list_devices(options) && memory(options) &&
                     compute(options);
  const bool alone = others(options);
  return works && alone ? 0 : 1;
}

}  // namespace sanity

int main(int argc, char** argv) { return sanity::run(argc, argv); }
