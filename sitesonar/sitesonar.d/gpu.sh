#!/bin/sh
# GPUs of all vendors: what is on the PCI bus, drivers, device nodes and whether they open, tools. Answers in schema/gpu.json.
#
# The bus is asked through lspci, where there is none through lspci in a container (SITESONAR_IMAGE), else read from sysfs.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

central=/cvmfs/alice.cern.ch/containers/bin/apptainer/current/bin/apptainer

# Lines `ADDRESS CLASS VENDOR DEVICE`, in hexadecimal digits without 0x
functions() {
    case $source in
    lspci) limited 10 lspci -Dn 2>/dev/null | lspci_lines ;;
    container) limited 30 "$runtime" exec "$SITESONAR_IMAGE" lspci -Dn 2>/dev/null | lspci_lines ;;
    sysfs) sysfs_lines ;;
    esac
}

# `0000:63:00.0 0380: 1002:66a1 (rev 02)`
lspci_lines() {
    while read -r address class ids rest; do
        case $rest in *'rev ff'*) continue ;; esac # off the bus: it reads all ones
        printf '%s %s %s %s\n' "$address" "${class%:}" "${ids%:*}" "${ids#*:}"
    done
}

sysfs_lines() {
    for folder in /sys/bus/pci/devices/*; do
        [ -r "$folder/class" ] || continue
        class=$(read_line "$folder/class")
        class=${class#0x}
        vendor=$(read_line "$folder/vendor")
        device=$(read_line "$folder/device")
        printf '%s %s %s %s\n' "${folder##*/}" "${class%??}" "${vendor#0x}" "${device#0x}"
    done
}

container_runtime() {
    [ -n "${SITESONAR_IMAGE:-}" ] || return 1
    for candidate in "${SITESONAR_CONTAINER:-}" apptainer singularity "$central"; do
        [ -n "$candidate" ] && command -v "$candidate" 2>/dev/null && return
    done
    return 1
}

# The first source that works
choose_source() {
    runtime=
    if have lspci && limited 10 lspci -n >/dev/null 2>&1; then
        source=lspci
    elif runtime=$(container_runtime) && limited 30 "$runtime" exec "$SITESONAR_IMAGE" lspci -n >/dev/null 2>&1; then
        source=container
    elif [ -d /sys/bus/pci/devices ]; then
        source=sysfs
    else
        source=none
    fi
}

# Display controllers of the three vendors and AMD's accelerators; Intel's class 1200 is an NPU, 515e a console.
gpus() {
    while read -r address class vendor device; do
        case $class:$vendor:$device in
        03??:1002:515e) ;;
        0300:10de:* | 0302:10de:* | 0300:1002:* | 0380:1002:* | 0302:1002:* | 1200:1002:*) ;;
        0300:8086:* | 0302:8086:* | 0380:8086:*) ;;
        *) continue ;;
        esac
        [ "$device" = 515e ] || printf '%s %s:%s\n' "$address" "$vendor" "$device"
    done
}

vendor_name() {
    case $1 in 10de) echo nvidia ;; 1002) echo amd ;; 8086) echo intel ;; esac
}

vendors() {
    for id in 10de 1002 8086; do
        case $found in *" $id:"*) vendor_name "$id" ;; esac
    done
}

# "1002:66a1":8
counts() {
    separator=
    for id in $(printf '%s\n' "$found" | sed -n 's/^[^ ]* //p' | sort -u | head -n 12); do
        printf '%s"%s":%s' "$separator" "$id" "$(printf '%s\n' "$found" | grep -c " $id\$")"
        separator=,
    done
}

# A driver that is loaded, with its version where it tells one
drivers() {
    separator=
    for name in nvidia nouveau amdgpu radeon i915 xe vfio-pci; do
        module=/sys/module/$(printf '%s' "$name" | tr - _)
        [ -d "$module" ] || continue
        printf '%s"%s":%s' "$separator" "$name" "$(json_string "$(read_line "$module/version")")"
        separator=,
    done
}

# shellcheck disable=SC2016 # the inner shell expands it
opens() { limited 5 sh -c ': <"$1"' sh "$1"; }

# nodes NAME PATH...: how many there are and how many open
nodes() {
    name=$1 there=0 open=0
    shift
    for node in "$@"; do
        [ -c "$node" ] || continue
        there=$((there + 1))
        opens "$node" >/dev/null 2>&1 && open=$((open + 1))
    done
    printf '"%s":{"there":%s,"open":%s}' "$name" "$there" "$open"
}

# A tool is ok, fails, hangs (137: killed) or is missing
tool_state() {
    have "$1" || { echo missing; return; }
    limited 10 "$@" >/dev/null 2>&1
    case $? in 0) echo ok ;; 124 | 137 | 143) echo hung ;; *) echo failed ;; esac
}

choose_source
found=$(functions | gpus)
printf '{"source":"%s",' "$source"
printf '"count":%s,' "$(printf '%s' "$found" | grep -c .)"
# shellcheck disable=SC2046 # names without blanks
printf '"vendors":%s,' "$(json_list $(vendors))"
printf '"devices":{%s},' "$(counts)"
printf '"drivers":{%s},' "$(drivers)"
printf '"nodes":{%s,%s,%s},' "$(nodes kfd /dev/kfd)" "$(nodes render /dev/dri/renderD*)" "$(nodes nvidia /dev/nvidia[0-9]*)"
printf '"tools":{"nvidia-smi":"%s",' "$(tool_state nvidia-smi -L)"
printf '"rocm-smi":"%s",' "$(tool_state rocm-smi --showid)"
printf '"amd-smi":"%s",' "$(tool_state amd-smi version)"
printf '"xpu-smi":"%s"}}\n' "$(tool_state xpu-smi discovery)"
