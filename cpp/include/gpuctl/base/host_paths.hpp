// The kernel's places, relative to a HostFs root: the one file that names them (`/sys`, `/proc`, `/dev`).
//
// Readers take a HostFs and one of these; nothing else in gpuctl spells a kernel path.
#pragma once

namespace gpuctl::host_paths {

inline constexpr const char* kPciDevices = "sys/bus/pci/devices";
inline constexpr const char* kSysBus = "sys/bus";
inline constexpr const char* kSysClass = "sys/class";
inline constexpr const char* kModules = "sys/module";
inline constexpr const char* kDrmClass = "sys/class/drm";
inline constexpr const char* kKfdTopology = "sys/class/kfd/kfd/topology/nodes";
inline constexpr const char* kKfdGeneration = "sys/class/kfd/kfd/topology/generation_id";
inline constexpr const char* kCgroupMount = "sys/fs/cgroup";
inline constexpr const char* kCgroupUnified = "sys/fs/cgroup/unified";  // v2 beside v1 controllers
inline constexpr const char* kSystemdRuns = "run/systemd/system";       // sd_booted(3)
inline constexpr const char* kProc = "proc";
inline constexpr const char* kSelinuxEnforce = "sys/fs/selinux/enforce";
inline constexpr const char* kBootId = "proc/sys/kernel/random/boot_id";
inline constexpr const char* kLoadavg = "proc/loadavg";
inline constexpr const char* kStat = "proc/stat";
inline constexpr const char* kVmstat = "proc/vmstat";
inline constexpr const char* kSelfCgroup = "proc/self/cgroup";
inline constexpr const char* kSelfMountinfo = "proc/self/mountinfo";
inline constexpr const char* kMeminfo = "proc/meminfo";
inline constexpr const char* kPidMax = "proc/sys/kernel/pid_max";
inline constexpr const char* kOnlineCpus = "sys/devices/system/cpu/online";
inline constexpr const char* kSelfUidMap = "proc/self/uid_map";
inline constexpr const char* kInitialNetSetting =
    "proc/sys/net/core/netdev_budget";  // only in the initial network namespace
inline constexpr const char* kAnyNetSetting = "proc/sys/net/core/somaxconn";  // in every one
inline constexpr const char* kInitRoot = "proc/1/root";
inline constexpr const char* kSelfNs = "proc/self/ns";
inline constexpr const char* kInitComm = "proc/1/comm";
inline constexpr const char* kInitMountNs = "proc/1/ns/mnt";
inline constexpr const char* kSystemdBooted = "run/systemd/system";  // sd_booted(3)
inline constexpr const char* kNvidiaDriver = "proc/driver/nvidia";
inline constexpr const char* kKernelSettings = "proc/sys/kernel";
inline constexpr const char* kNvidiaGpus = "proc/driver/nvidia/gpus";
inline constexpr const char* kNvidiaCapabilities = "proc/driver/nvidia/capabilities";
inline constexpr const char* kDev = "dev";

// Device nodes by the names that a payload knows them by.
inline constexpr const char* kDevNodes = "/dev/";
inline constexpr const char* kDriNodes = "/dev/dri/";      // card0, renderD128
inline constexpr const char* kNvidiaNode = "/dev/nvidia";  // and the minor number
inline constexpr const char* kNvidiaControlNode = "/dev/nvidiactl";
inline constexpr const char* kNvidiaUvmNode = "/dev/nvidia-uvm";
inline constexpr const char* kNvidiaCapNode =
    "/dev/nvidia-caps/nvidia-cap";  // and the minor number
inline constexpr const char* kKfdNode = "/dev/kfd";

// Absolute, for the live system only: what cannot be reached through a directory handle.
inline constexpr const char* kLiveProc = "/proc";
inline constexpr const char* kLiveSelfFd = "/proc/self/fd";
inline constexpr const char* kLiveSelfFdinfo = "/proc/self/fdinfo";
inline constexpr const char* kLiveSelfUidMap = "/proc/self/uid_map";
inline constexpr const char* kLiveSelfGidMap = "/proc/self/gid_map";
inline constexpr const char* kLiveSelfSetgroups = "/proc/self/setgroups";
inline constexpr const char* kLiveSelfOomScoreAdj = "/proc/self/oom_score_adj";
inline constexpr const char* kLiveSelfTimeNamespace = "/proc/self/ns/time";
inline constexpr const char* kLiveSelfTimeOffsets = "/proc/self/timens_offsets";
inline constexpr const char* kLiveSelfExe = "/proc/self/exe";
inline constexpr const char* kLiveProcSys = "/proc/sys";
inline constexpr const char* kLiveSysrq = "/proc/sysrq-trigger";
inline constexpr const char* kLiveProcBus = "/proc/bus";  // PCI configuration
inline constexpr const char* kLiveProcFs = "/proc/fs";
inline constexpr const char* kLiveProcIrq = "/proc/irq";
inline constexpr const char* kLiveSys = "/sys";  // `reset`, `remove`, `resource0` of every device
inline constexpr const char* kLiveDev = "/dev";
inline constexpr const char* kLiveNull = "/dev/null";
inline constexpr const char* kLiveKernelLog = "/dev/kmsg";
inline constexpr const char* kLiveRunState = "/run/gpuctl";
inline constexpr const char* kLiveShmState = "/dev/shm/gpuctl";
inline constexpr const char* kLiveRunUser = "/run/user/";  // UID, a user's runtime directory
inline constexpr const char* kLiveSystemBus = "/run/dbus/system_bus_socket";
inline constexpr const char* kLiveSystemdSocket = "/run/systemd/private";
inline constexpr const char* kLiveDockerSocket = "/run/docker.sock";
inline constexpr const char* kLivePodmanSocket = "/run/podman/podman.sock";
inline constexpr const char* kLiveContainerdSocket = "/run/containerd/containerd.sock";
inline constexpr const char* kLiveCrioSocket = "/run/crio/crio.sock";
inline constexpr const char* kLiveSystemConfig = "/etc/gpuctl/config.json";

}  // namespace gpuctl::host_paths
