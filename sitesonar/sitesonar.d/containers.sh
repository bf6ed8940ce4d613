#!/bin/sh
# Container runtimes, and which of them run a program here. Answers in schema/containers.json.
# With SITESONAR_IMAGE each runtime of images is tried with it; nothing is ever fetched.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

central=/cvmfs/alice.cern.ch/containers/bin/apptainer/current/bin

# runtime NAME: its path, also of the one that CVMFS brings
runtime() {
    command -v "$1" 2>/dev/null && return
    [ "$1" = apptainer ] && limited 5 ls "$central/apptainer" >/dev/null 2>&1 && echo "$central/apptainer"
}

runs() {
    [ -n "${SITESONAR_IMAGE:-}" ] || return 1
    case $1 in
    apptainer | singularity) limited 30 "$2" exec "$SITESONAR_IMAGE" true ;;
    podman) limited 30 "$2" run --rm --pull=never "$SITESONAR_IMAGE" true ;;
    *) return 1 ;;
    esac
}

subordinate_ids() { grep -q "^$(id -un 2>/dev/null):" /etc/subuid 2>/dev/null; }

# known NAME: one entry of the list of versions
known() {
    path=$(runtime "$1")
    [ -n "$path" ] || return
    printf '%s"%s":%s' "$separator" "$1" "$(json_string "$(first_line "$(limited 10 "$path" --version 2>/dev/null)")")"
    separator=,
    # shellcheck disable=SC2086 # usable is a list of words
    if runs "$1" "$path" >/dev/null 2>&1; then usable="$usable $1"; fi
}

usable=
separator=
printf '{"versions":{'
for name in apptainer singularity podman docker; do known "$name"; done
# shellcheck disable=SC2086 # usable is a list of words
printf '},"usable":%s,' "$(json_list $usable)"
printf '"tried_image":%s,' "$(json_string "${SITESONAR_IMAGE:-}")"
printf '"user_namespaces":%s,' "$(json_bool limited 5 unshare -U true)"
printf '"subordinate_ids":%s,' "$(json_bool subordinate_ids)"
printf '"fuse":%s,' "$(json_bool test -r /dev/fuse)"
printf '"fuse_overlayfs":%s,' "$(json_bool have fuse-overlayfs)"
printf '"nvidia_container_cli":%s}\n' "$(json_bool have nvidia-container-cli)"
