#include "device_filter.hpp"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <set>
#include <utility>

#include "gpuctl/base/without.hpp"

namespace gpuctl::fence::internal {
namespace {

using Number = std::pair<unsigned, unsigned>;  // major, minor

// <linux/bpf.h>
struct Instruction {
  std::uint8_t code;
  std::uint8_t registers;  // the destination in the lower half
  std::int16_t offset;
  std::int32_t immediate;
};
constexpr int kProgLoad = 5;
constexpr int kProgAttach = 8;
constexpr int kProgDetach = 9;
constexpr std::uint32_t kTypeCgroupDevice = 15;  // BPF_PROG_TYPE_CGROUP_DEVICE
constexpr std::uint32_t kAttachDevice = 6;       // BPF_CGROUP_DEVICE
constexpr std::uint32_t kAllowMulti = 2;         // BPF_F_ALLOW_MULTI
constexpr std::int32_t kCharDevice = 2;          // BPF_DEVCG_DEV_CHAR
constexpr std::uint8_t kLoadWord = 0x61;         // BPF_LDX | BPF_MEM | BPF_W
constexpr std::uint8_t kAnd = 0x57;              // BPF_ALU64 | BPF_AND | BPF_K
constexpr std::uint8_t kJumpIfNot = 0x55;        // BPF_JMP | BPF_JNE | BPF_K
constexpr std::uint8_t kMove = 0xb7;             // BPF_ALU64 | BPF_MOV | BPF_K
constexpr std::uint8_t kExit = 0x95;             // BPF_JMP | BPF_EXIT

struct LoadAttr {
  std::uint32_t type;
  std::uint32_t count;
  std::uint64_t instructions;
  std::uint64_t license;
  std::uint32_t log_level;
  std::uint32_t log_size;
  std::uint64_t log;
  std::uint32_t kernel_version;
  std::uint32_t flags;
};
struct AttachAttr {
  std::uint32_t target;
  std::uint32_t program;
  std::uint32_t type;
  std::uint32_t flags;
};

// null, zero, random, urandom, tty, ptmx
constexpr std::array<Number, 6> kNeeded = {{{1, 3}, {1, 5}, {1, 8}, {1, 9}, {5, 0}, {5, 2}}};

Result<Number> number_of(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return fail_errno(errno, path, "cannot read its number");
  return Number{major(status.st_rdev), minor(status.st_rdev)};
}

Result<std::set<Number>> numbers_to_refuse(const DevicePlan& plan) {
  std::set<Number> needed(kNeeded.begin(), kNeeded.end());
  for (const DeviceNode& node : plan.given) {
    if (const Result<Number> number = number_of(node.host_path)) needed.insert(*number);
  }
  std::set<Number> numbers;
  for (const std::string& path : plan.refused) {
    const Result<Number> number = number_of(path);
    if (!number) return fail(number.error());
    if (needed.count(*number) != 0)
      return fail(ErrorCode::unsupported, path, "it has the number of a node that the job needs");
    numbers.insert(*number);
  }
  return numbers;
}

// The context is {access and kind, major, minor} in r1; the answer in r0, 0 refuses.
std::vector<Instruction> make_program(const std::set<Number>& numbers) {
  std::vector<Instruction> code = {{kLoadWord, 0x12, 0, 0},
                                   {kLoadWord, 0x13, 4, 0},
                                   {kLoadWord, 0x14, 8, 0},
                                   {kAnd, 0x02, 0, 0xffff}};
  for (const auto& [major_number, minor_number] : numbers) {
    code.push_back({kJumpIfNot, 0x02, 4, kCharDevice});
    code.push_back({kJumpIfNot, 0x03, 3, static_cast<std::int32_t>(major_number)});
    code.push_back({kJumpIfNot, 0x04, 2, static_cast<std::int32_t>(minor_number)});
    code.push_back({kMove, 0x00, 0, 0});
    code.push_back({kExit, 0, 0, 0});
  }
  code.push_back({kMove, 0x00, 0, 1});
  code.push_back({kExit, 0, 0, 0});
  return code;
}

template <typename Attr>
long bpf(int command, Attr& attr) {
  return ::syscall(SYS_bpf, command, &attr, sizeof attr);
}

std::uint64_t address_of(const void* pointer) {
  return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(pointer));
}

Result<Fd> load_filter(const std::set<Number>& numbers) {
  if (without().device_filter) return fail(ErrorCode::unsupported, "", "no device filters here");
  const std::vector<Instruction> code = make_program(numbers);
  constexpr const char* kLicense = "Apache-2.0";
  LoadAttr load{};
  load.type = kTypeCgroupDevice;
  load.count = static_cast<std::uint32_t>(code.size());
  load.instructions = address_of(code.data());
  load.license = address_of(kLicense);
  Fd program(static_cast<int>(bpf(kProgLoad, load)));
  if (!program) return fail_errno(errno, "", "cannot load a device filter");
  return program;
}

}  // namespace

Result<void> can_load_device_filter() {
  const Result<Fd> program = load_filter({});
  return program ? Result<void>() : fail(program.error());
}

Result<void> attach_device_filter(int cgroup_fd, const DevicePlan& plan) {
  const Result<std::set<Number>> numbers = numbers_to_refuse(plan);
  if (!numbers) return fail(numbers.error());
  const Result<Fd> program = load_filter(*numbers);
  if (!program) return fail(program.error());
  AttachAttr attach{static_cast<std::uint32_t>(cgroup_fd),
                    static_cast<std::uint32_t>(program->get()), kAttachDevice, kAllowMulti};
  if (bpf(kProgAttach, attach) == 0) return {};
  return fail_errno(errno, "", "cannot attach a device filter to the job's cgroup");
}

void try_to_detach_device_filter(int cgroup_fd) {
  AttachAttr detach{static_cast<std::uint32_t>(cgroup_fd), 0, kAttachDevice, 0};
  bpf(kProgDetach, detach);
}

}  // namespace gpuctl::fence::internal
