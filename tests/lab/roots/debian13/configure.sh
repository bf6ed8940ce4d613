#!/bin/sh
# What the packages' own scripts would have done (they are extracted, not installed), and the folders that containers mount on.
set -eu
root=$1
[ -e "$root/bin/sh" ] || ln -s bash "$root/bin/sh"
mkdir -p "$root/dev" "$root/proc" "$root/sys" "$root/tmp" "$root/var/tmp" "$root/root" "$root/home" "$root/run" "$root/mnt" "$root/opt"
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo 'root:x:0:' >"$root/etc/group"
for file in resolv.conf hosts localtime nsswitch.conf; do [ -e "$root/etc/$file" ] || : >"$root/etc/$file"; done
