#!/bin/sh
# Users, folders, services of the worker node; run by mmdebstrap with its root.
set -eu
root=$1

echo worker >"$root/etc/hostname"
echo '127.0.0.1 localhost worker' >"$root/etc/hosts"
echo '/dev/root / ext4 rw,noatime 0 0' >"$root/etc/fstab"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
chmod 755 "$root"/usr/local/sbin/*

chroot "$root" useradd -m -u 2000 -s /bin/bash pilot
chroot "$root" useradd -m -u 2001 -s /bin/bash other
chroot "$root" passwd -d root >/dev/null
printf 'pilot:100000:65536\nother:200000:65536\n' | tee "$root/etc/subuid" >"$root/etc/subgid"
mkdir -p "$root/var/lib/systemd/linger"
: >"$root/var/lib/systemd/linger/pilot" # = loginctl enable-linger

chroot "$root" install -d -o slurm -g slurm /var/lib/slurm /var/lib/slurm/slurmctld /var/log/slurm
chroot "$root" install -d /var/lib/slurm/slurmd
rm -f "$root/etc/condor/config.d/00-htcondor-9.0.config"

# the kernel from before `cgroup.kill`; its name holds the version of its interfaces
old=$(APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-cache pkgnames linux-image-5.10 | grep -E '^linux-image-5\.10\.[0-9]+-[0-9]+-cloud-amd64$' | sort -V | tail -n 1)
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get install --yes -oDPkg::Chroot-Directory="$root" "$old"

# an image with nothing but busybox
box=$root/srv/images/busybox
mkdir -p "$box/bin" "$box/dev" "$box/etc" "$box/proc" "$box/sys" "$box/tmp" "$box/home" "$box/root" "$box/run" "$box/mnt" "$box/opt" "$box/usr/bin" "$box/var/tmp"
cp "$root/usr/bin/busybox" "$box/bin/busybox"
for applet in $("$box/bin/busybox" --list); do
    [ -e "$box/bin/$applet" ] || ln -s busybox "$box/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$box/etc/passwd"
echo 'root:x:0:' >"$box/etc/group"
for file in resolv.conf hosts localtime; do : >"$box/etc/$file"; done

chroot "$root" systemctl enable lab-net lab-agent munge slurmctld slurmd condor
chroot "$root" systemctl set-default multi-user.target
# what a node for tests needs not: each costs seconds of the boot in software emulation
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    dpkg-db-backup.timer logrotate.timer podman.socket podman.service podman-auto-update.timer podman-restart.service \
    netavark-dhcp-proxy.service netavark-dhcp-proxy.socket getty@tty1.service serial-getty@ttyS0.service ldconfig.service \
    modprobe@drm.service modprobe@configfs.service modprobe@efi_pstore.service sys-kernel-debug.mount sys-kernel-tracing.mount
