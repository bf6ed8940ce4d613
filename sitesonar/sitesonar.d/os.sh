#!/bin/sh
# The operating system: distribution, kernel, C library. Answers in schema/os.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

# release FIELD: of os-release(5), without running it
release() {
    for file in /etc/os-release /usr/lib/os-release; do
        [ -r "$file" ] || continue
        sed -n "s/^$1=//p" "$file" | head -n 1 | sed 's/^"\(.*\)"$/\1/; s/^'"'"'\(.*\)'"'"'$/\1/'
        return
    done
}

# Where there is none: EL6 and older
old_release() { read_line /etc/redhat-release; }

libc() {
    version=$(limited 5 getconf GNU_LIBC_VERSION 2>/dev/null)
    if [ -n "$version" ]; then
        echo "$version"
    elif [ -e /lib/ld-musl-x86_64.so.1 ] || [ -e /lib/ld-musl-aarch64.so.1 ]; then
        echo musl
    fi
}

name=$(release ID)
uptime=$(read_line /proc/uptime)
printf '{"os_name":%s,' "$(json_string "${name:-$(old_release)}")"
printf '"os_version":%s,' "$(json_string "$(release VERSION_ID)")"
printf '"os_pretty":%s,' "$(json_string "$(release PRETTY_NAME)")"
printf '"kernel":%s,' "$(json_string "$(uname -r)")"
printf '"machine":%s,' "$(json_string "$(uname -m)")"
printf '"libc":%s,' "$(json_string "$(libc)")"
printf '"python3":%s,' "$(json_string "$(limited 10 python3 -V 2>/dev/null)")"
printf '"systemd":%s,' "$(json_bool test -d /run/systemd/system)"
printf '"uptime_seconds":%s}\n' "$(json_number "${uptime%%.*}")"
