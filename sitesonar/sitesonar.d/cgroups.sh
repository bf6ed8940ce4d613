#!/bin/sh
# Control groups: which version, and whether this user may make some below its own. Answers in schema/cgroups.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

top=/sys/fs/cgroup

version() {
    if [ -f "$top/cgroup.controllers" ]; then
        echo v2
    elif [ -d "$top/unified" ] && [ -f "$top/unified/cgroup.controllers" ]; then
        echo hybrid
    elif [ -d "$top/memory" ] || [ -d "$top/cpu" ]; then
        echo v1
    fi
}

# Our path in the v2 hierarchy
own_path() { sed -n 's/^0:://p' /proc/self/cgroup 2>/dev/null | head -n 1; }

own_folder() {
    case $(version) in
    v2) printf '%s%s\n' "$top" "$(own_path)" ;;
    hybrid) printf '%s/unified%s\n' "$top" "$(own_path)" ;;
    esac
}

delegated() {
    [ -n "$folder" ] && [ -w "$folder" ] && [ -w "$folder/cgroup.procs" ] && [ -w "$folder/cgroup.subtree_control" ]
}

folder=$(own_folder)
# shellcheck disable=SC2046 # the controllers are words
printf '{"version":%s,' "$(json_string "$(version)")"
printf '"path":%s,' "$(json_string "$(own_path)")"
# shellcheck disable=SC2046 # the same
printf '"controllers":%s,' "$(json_list $(read_line "$folder/cgroup.controllers"))"
# shellcheck disable=SC2046 # the same
printf '"given_on":%s,' "$(json_list $(read_line "$folder/cgroup.subtree_control"))"
printf '"delegated":%s,' "$(json_bool delegated)"
printf '"kill":%s,' "$(json_bool test -e "$folder/cgroup.kill")"
printf '"freeze":%s,' "$(json_bool test -e "$folder/cgroup.freeze")"
printf '"peak":%s,' "$(json_bool test -e "$folder/memory.peak")"
printf '"memory_max":%s,' "$(json_string "$(read_line "$folder/memory.max")")"
printf '"pids_max":%s}\n' "$(json_string "$(read_line "$folder/pids.max")")"
