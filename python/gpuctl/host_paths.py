"""The one place where Python spells a kernel path; everything else of the kernel is the core's."""

LIVE_SELF_FD = "/proc/self/fd"
LIVE_SYS = "/sys"

# where vendors install their tools, beside PATH
TOOL_FOLDERS = ("/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/opt/rocm/bin")

# the state folder's usual places, the first that can be had
STATE_FOLDERS = ("/run/gpuctl", "/dev/shm/gpuctl")

# below a root
PROC = "proc"
DRI = "/dri/"
DEV = "/dev/"
KFD_NODES = "sys/class/kfd/kfd/topology/nodes"
KFD_PROCESSES = "sys/class/kfd/kfd/proc"
