#!/bin/sh
# Processors and memory. Answers in schema/cpu.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

# field NAME: the first value of that name in cpuinfo
field() {
    sed -n "s/^$1[[:space:]]*:[[:space:]]*//p" /proc/cpuinfo 2>/dev/null | head -n 1
}

cores() { grep -c '^processor' /proc/cpuinfo 2>/dev/null; }

# What this process may use
usable_cores() { limited 5 nproc 2>/dev/null; }

sockets() {
    ids=$(sed -n 's/^physical id[[:space:]]*:[[:space:]]*//p' /proc/cpuinfo 2>/dev/null | sort -u)
    [ -n "$ids" ] && printf '%s\n' "$ids" | grep -c .
}

numa_nodes() {
    count=0
    for node in /sys/devices/system/node/node[0-9]*; do
        [ -d "$node" ] && count=$((count + 1))
    done
    [ "$count" -gt 0 ] && echo "$count"
}

has_flags() {
    for flag in "$@"; do
        case " $flags " in *" $flag "*) ;; *) return 1 ;; esac
    done
}

# The micro-architecture levels of the x86-64 psABI; cpuinfo calls SSE3 pni and LZCNT abm
level() {
    [ "$(uname -m)" = x86_64 ] || return
    has_flags cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 || { echo 1; return; }
    has_flags avx avx2 bmi1 bmi2 f16c fma abm movbe xsave || { echo 2; return; }
    has_flags avx512f avx512bw avx512cd avx512dq avx512vl || { echo 3; return; }
    echo 4
}

memory_kib() { sed -n "s/^$1:[[:space:]]*\([0-9]*\).*/\1/p" /proc/meminfo 2>/dev/null; }

flags=$(field flags)
model=$(field 'model name')
[ -n "$model" ] || model=$(field 'CPU part')
[ -n "$model" ] || model=$(field uarch)
printf '{"machine":%s,' "$(json_string "$(uname -m)")"
printf '"model":%s,' "$(json_string "$model")"
printf '"cores":%s,' "$(json_number "$(cores)")"
printf '"usable_cores":%s,' "$(json_number "$(usable_cores)")"
printf '"sockets":%s,' "$(json_number "$(sockets)")"
printf '"numa_nodes":%s,' "$(json_number "$(numa_nodes)")"
printf '"x86_64_level":%s,' "$(json_number "$(level)")"
printf '"virtual":%s,' "$(json_bool has_flags hypervisor)"
printf '"threads_per_core_on":%s,' "$(json_string "$(read_line /sys/devices/system/cpu/smt/control)")"
printf '"memory_total_kib":%s,' "$(json_number "$(memory_kib MemTotal)")"
printf '"swap_total_kib":%s}\n' "$(json_number "$(memory_kib SwapTotal)")"
