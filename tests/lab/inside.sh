#!/usr/bin/env bash
# Pid 1 of the namespace tier until systemd takes over: lays the worker's root file system under a writable layer in
# memory, mounts what a machine has, pivots into it. Called by namespaces.py in new namespaces, its control group set.
#
#   inside.sh WORKER FOLDER KIT     FOLDER: this node's own; FOLDER/run becomes /run/lab
set -euo pipefail
worker=$1
folder=$2
kit=$3
root=$folder/layers/root

mount_root() {
    mkdir -p "$folder/layers"
    mount -t tmpfs layers "$folder/layers"
    mkdir "$folder/layers/upper" "$folder/layers/work" "$root"
    mount -t overlay -o "lowerdir=$worker,upperdir=$folder/layers/upper,workdir=$folder/layers/work" node "$root"
}

mount_kernel() {
    mount -t proc proc "$root/proc"
    mount -t sysfs sysfs "$root/sys"
    # over whatever the host has there: systemd, crun and gpuctl see one unified tree, that of our control group
    mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
    mount -t tmpfs -o mode=755 run "$root/run"
    mkdir "$root/run/lab"
    mount --bind "$folder/run" "$root/run/lab"
    mkdir -p "$root/opt/lab"
    mount --bind "$kit" "$root/opt/lab"
    mount -o remount,bind,ro "$root/opt/lab"
}

mount_dev() {
    local dev=$root/dev node
    mount -t tmpfs -o mode=755 dev "$dev"
    mkdir "$dev/pts" "$dev/shm" "$dev/net"
    for node in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 fuse:10:229 net/tun:10:200; do
        IFS=: read -r name major minor <<<"$node"
        mknod -m 666 "$dev/$name" c "$major" "$minor"
    done
    mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts "$dev/pts"
    mount -t tmpfs -o mode=1777 shm "$dev/shm"
    ln -s pts/ptmx "$dev/ptmx"
    ln -s /proc/self/fd "$dev/fd"
    ln -s fd/0 "$dev/stdin"
    ln -s fd/1 "$dev/stdout"
    ln -s fd/2 "$dev/stderr"
}

# The kernel is the host's: nobody here may set its variables, load modules or send its devices' events again.
leave_the_kernel_alone() {
    local unit
    echo 'ENABLE_KERNEL_TUNING = False' >"$root/etc/condor/config.d/20-namespaces.config"
    for unit in systemd-sysctl systemd-modules-load kmod-static-nodes systemd-binfmt systemd-udevd systemd-udev-trigger \
        systemd-udev-load-credentials systemd-random-seed systemd-remount-fs; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit.service"
    done
    for unit in systemd-udevd-control.socket systemd-udevd-kernel.socket dev-hugepages.mount proc-sys-fs-binfmt_misc.automount; do
        ln -sf /dev/null "$root/etc/systemd/system/$unit"
    done
}

# What differs without controllers and without a machine of its own.
adapt() {
    cp "$root/usr/local/lib/lab/namespaces/slurm/"* "$root/etc/slurm/"
    mkdir -p "$root/etc/systemd/system/lab-agent.service.d"
    printf '[Service]\nExecStart=\nExecStart=/usr/local/sbin/lab-agent /run/lab/agent.sock\n' \
        >"$root/etc/systemd/system/lab-agent.service.d/namespaces.conf"
    # this node is a network namespace of its own, in which the locks on GPUs are seen by itself alone
    mkdir -p "$root/etc/gpuctl"
    echo '{"ledger_scope": "slot"}' >"$root/etc/gpuctl/config.json"
    # a test waits for the batch systems it needs; the machine answers at once
    sed -i '/^After=/d' "$root/etc/systemd/system/lab-agent.service"
}

mount_root
mount_kernel
mount_dev
leave_the_kernel_alone
adapt
cd "$root"
mkdir -p .outside
pivot_root . .outside
cd /
umount --lazy /.outside
rmdir /.outside
mount --make-rshared /
hostname worker
exec env -i container=lab PATH=/usr/sbin:/usr/bin /usr/lib/systemd/systemd --log-target=console --show-status=no
