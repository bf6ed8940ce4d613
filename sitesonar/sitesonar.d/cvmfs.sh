#!/bin/sh
# CVMFS: whether it is there, at which revision, for which platforms. Answers in schema/cvmfs.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

repository=${CVMFS_PATH:-/cvmfs/alice.cern.ch}

# The first access mounts it, which takes its time.
available() { limited 20 ls "$repository/" >/dev/null 2>&1; }

attribute() {
    if have getfattr; then
        limited 10 getfattr --only-values -n "user.$1" "$repository" 2>/dev/null
    elif have attr; then
        limited 10 attr -qg "$1" "$repository" 2>/dev/null
    fi
}

# Folders that hold packages: el9-x86_64, slc8-aarch64, ...
platforms() {
    limited 20 ls "$repository" 2>/dev/null | grep -E '^[a-z]+[0-9.]*-[a-z0-9_]+$' | head -n 20
}

if ! available; then
    printf '{"available":false,"repository":%s}\n' "$(json_string "$repository")"
    exit 0
fi
printf '{"available":true,"repository":%s,' "$(json_string "$repository")"
printf '"revision":%s,' "$(json_number "$(attribute revision)")"
printf '"version":%s,' "$(json_string "$(attribute version)")"
printf '"expires_minutes":%s,' "$(json_number "$(attribute expires)")"
# shellcheck disable=SC2046 # names of folders without blanks
printf '"platforms":%s}\n' "$(json_list $(platforms))"
