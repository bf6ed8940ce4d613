#!/usr/bin/env bash
# Pid 1 of the bare machine: mounts what a machine has, pivots into ROOT (a chroot would refuse user namespaces,
# user_namespaces(7)), and runs the commands in the clone. Called by fresh-machine.sh in new namespaces.
#
#   inside.sh ROOT SUITE COMMAND...
set -euo pipefail

root=$1
suite=$2
shift 2
work=$(dirname "$root")

say() { printf 'fresh: %s\n' "$*" >&2; }

mount_folders() {
    local folder
    while read -r folder; do
        mkdir -p "$root$folder"
        mount --bind "$folder" "$root$folder"
        mount -o remount,bind,ro "$root$folder"
    done <"$work/folders"
}

mount_kernel() {
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    make_read_only "$root/sys"
    mount -t tmpfs -o mode=755 tmpfs "$root/run"
    mount_dev "$root/dev"
}

# Each mount below has its own flags; the control groups of the real machine are not ours to write.
make_read_only() {
    local point
    awk -v top="$1" '$5 == top || index($5, top "/") == 1 { print $5 }' /proc/self/mountinfo |
        while read -r point; do
            mount -o remount,bind,ro "$point" || true
        done
}

mount_dev() {
    local dev=$1 node
    mount -t tmpfs -o mode=755 tmpfs "$dev"
    for node in null zero full random urandom tty; do
        : >"$dev/$node"
        mount --bind "/dev/$node" "$dev/$node"
    done
    ln -s /proc/self/fd "$dev/fd"
    ln -s fd/0 "$dev/stdin"
    ln -s fd/1 "$dev/stdout"
    ln -s fd/2 "$dev/stderr"
    mkdir "$dev/pts" "$dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$dev/pts"
    ln -s pts/ptmx "$dev/ptmx"
    mount -t tmpfs -o mode=1777 tmpfs "$dev/shm"
}

enter() {
    cd "$root"
    mkdir .outside
    pivot_root . .outside
    cd /
    umount --lazy /.outside
    rmdir /.outside
    hostname fresh
}

# Nothing of the caller's environment but what the site sets for its registries, and no signal that it ignores.
run_in_clone() {
    env --default-signal -i HOME=/root USER=root TERM=dumb LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin ${settings[@]+"${settings[@]}"} \
        bash -c "cd /root/gpuctl && $1"
}

mount --bind "$root" "$root"
mount_folders
mount_kernel
mapfile -t settings <"$work/environment"
enter
for command in "$@"; do
    say "$suite: $command"
    began=$SECONDS status=0
    run_in_clone "$command" || status=$?
    say "$suite: $command: exit $status after $((SECONDS - began)) s"
    ((status == 0)) || exit "$status"
done
