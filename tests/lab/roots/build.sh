#!/usr/bin/env bash
# Makes one root file system of the lab from Debian's packages alone: build.sh NAME OUT   (root)
#
# NAME is a folder beside this script:
#   suites          the suites to take packages from, the first is the system's own
#   packages        what is installed, one or more names a line
#   variant         that of mmdebstrap(1) (optional: minbase)
#   preferences     apt_preferences(5) that choose among the suites (optional)
#   configure.sh    run as `configure.sh ROOT` when all packages are in (optional)
#   files/          laid over the root before configure.sh runs (optional)
#
# The mirror, proxies and certificates are those that this machine's apt is set up with.
set -euo pipefail
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=tests/fresh/settings.sh
source "$here/../../fresh/settings.sh"

die() {
    printf 'lab: %s\n' "$1" >&2
    exit "${2:-1}"
}

main() {
    local name=$1 out=$2 recipe=$here/$1 suite variant=minbase hook=customize options=()
    [[ -d $recipe ]] || die "there is no recipe \`$name\`" 2
    work=$(mktemp -d "$out.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    write_apt_settings "$work/apt.conf"
    # the Release file of sid is valid for a week only: a lab is also built where the clock runs ahead
    printf 'Acquire::Check-Valid-Until "false";\nAcquire::Check-Date "false";\n' >>"$work/apt.conf"
    for suite in $(words "$recipe/suites"); do apt_sources "$suite"; done >"$work/sources.list"
    if [[ -f $recipe/variant ]]; then variant=$(words "$recipe/variant"); fi
    # packages that are only extracted leave nothing to customize: mmdebstrap skips that hook
    if [[ $variant == extract ]]; then hook=extract; fi
    if [[ -f $recipe/preferences ]]; then
        options+=("--setup-hook=install -D -m 644 $recipe/preferences \"\$1/etc/apt/preferences.d/lab\"")
    fi
    if [[ -d $recipe/files ]]; then
        options+=("--$hook-hook=cp -r --no-preserve=ownership $recipe/files/. \"\$1/\"")
    fi
    if [[ -f $recipe/configure.sh ]]; then
        options+=("--$hook-hook=$recipe/configure.sh")
    fi
    # no initial RAM disk per kernel: the lab makes its own (initrd.py)
    export INITRD=No
    # shellcheck disable=SC2016 # mmdebstrap's shell expands it
    mmdebstrap --mode=root --variant="$variant" --include="$(words "$recipe/packages" | tr '\n' ' ')" \
        --aptopt="$work/apt.conf" --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt=force-unsafe-io \
        ${options[@]+"${options[@]}"} --customize-hook='rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*.bin' \
        "$(words "$recipe/suites" | head -n 1)" "$out" "$work/sources.list"
}

# The words of a file, one a line; what follows a # is for the reader.
words() { sed 's/#.*//' "$1" | xargs -n 1; }

main "$@"
