"""The one place where Python spells a kernel path; everything else of the kernel is the core's."""

LIVE_SELF_FD = "/proc/self/fd"
