#!/usr/bin/env bash
# The proof of the two commands: a bare Debian root file system, a clean clone of HEAD, and nothing else.
#
#   tests/fresh/fresh-machine.sh                                # bookworm: ./dev run, then ./dev test
#   tests/fresh/fresh-machine.sh bullseye                       # the same on another suite (bullseye, trixie, sid …)
#   tests/fresh/fresh-machine.sh trixie './dev run --json'      # other commands, one word each
#
# What is handed in is what every machine of a site has before gpuctl comes: its apt mirrors and settings, its pip
# settings, its certificates, its name servers. Needs root and mmdebstrap (installed if missing). The bare system is
# kept as a tar file in the user's cache folder; each run works on a fresh copy, which is removed at the end.
# FRESH_MIRROR names a Debian mirror where this machine's apt has none.
set -euo pipefail
unset CDPATH
here=$(cd -P "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$here/../.." && pwd)
# shellcheck source=tests/fresh/settings.sh
source "$here/settings.sh"

say() { printf 'fresh: %s\n' "$*" >&2; }
die() {
    say "$1"
    exit "${2:-1}"
}

main() {
    local suite=bookworm
    case ${1:-} in
    -h | --help)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
        return 0
        ;;
    esac
    if [[ ${1:-} =~ ^[a-z]+$ ]]; then
        suite=$1
        shift
    fi
    (($#)) || set -- './dev run' './dev test'
    ((EUID == 0)) || die "making a root file system needs root; type: sudo $0 $suite" 2
    command -v mmdebstrap >/dev/null || install_mmdebstrap
    work_folder
    make_bare_system "$suite"
    tar --extract --file "$bare_system" --directory "$machine"
    hand_in_settings "$machine" "$suite"
    clone_repository "$machine/root/gpuctl"
    enter_machine "$suite" "$@"
}

install_mmdebstrap() {
    say "installing mmdebstrap"
    apt-get install -y --no-install-recommends mmdebstrap >/dev/null ||
        { apt-get update >/dev/null && apt-get install -y --no-install-recommends mmdebstrap >/dev/null; }
}

# One folder per run. Everything mounted in it is mounted in a namespace of its own, gone with its last process;
# so it can be removed from here without reaching anything else.
work_folder() {
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/gpuctl/fresh
    mkdir -p "$cache"
    work=$(mktemp -d "$cache/run.XXXXXX")
    machine=$work/machine
    mkdir "$machine"
    child=
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

clean_up() {
    if [[ -n $child ]]; then
        kill -KILL "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    # what was killed inside may still be dying, and write while it is removed
    local try
    for try in 1 2 3 4 5 6 7 8 9 10; do
        rm -rf --one-file-system "$work" 2>/dev/null && return 0
        sleep "0.$try"
    done
    say "\`$work\` could not be removed"
}

# The recipe's hash is the file's name: another recipe makes another file.
make_bare_system() {
    local suite=$1 recipe
    write_apt_settings "$work/apt.conf"
    recipe=$({ echo "$suite minbase"; apt_sources "$suite"; cat "$work/apt.conf"; } | sha256sum | cut -c 1-12)
    bare_system=$cache/$suite-$recipe.tar
    [[ -f $bare_system ]] && return 0
    say "making a bare $suite system"
    apt_sources "$suite" >"$work/sources.list"
    mmdebstrap --quiet --mode=root --variant=minbase --aptopt="$work/apt.conf" \
        "$suite" "$work/made.tar" "$work/sources.list" >"$work/mmdebstrap.log" 2>&1 || {
        tail -n 40 "$work/mmdebstrap.log" >&2
        die "mmdebstrap failed"
    }
    rm -f "$cache/$suite"-*.tar
    mv "$work/made.tar" "$bare_system"
}

clone_repository() {
    git -c advice.detachedHead=false clone --quiet --no-local --no-hardlinks "$repository" "$1"
}

# The commands run below a pid 1 of their own: when that ends, for whatever reason, all they started ends with it.
enter_machine() {
    local suite=$1 status=0
    shift
    unshare --mount --pid --ipc --uts --fork --kill-child --propagation private \
        bash "$here/inside.sh" "$machine" "$suite" "$@" </dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

main "$@"
