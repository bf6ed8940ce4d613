# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
# What every verb of ./dev shares: messages, steps with progress, Ctrl-C. Sourced by ./dev, which sets `root`.
#
# Words go to stderr, so that the output of what a verb starts stays its own.

log_dir=$root/build/log
step_group=

say() { printf '%s\n' "$*" >&2; }

# die MESSAGE [EXIT]: 1 failed, 2 nothing was done and the message says what to type.
die() {
    printf 'dev: %s\n' "$1" >&2
    exit "${2:-1}"
}

# A step runs in a process group of its own: ended as a whole, here, on Ctrl-C at a terminal as on a plain kill.
stop_step() {
    trap - INT TERM HUP
    if [[ -n $step_group ]]; then
        kill -TERM -- "-$step_group" 2>/dev/null || true
        wait "$step_group" 2>/dev/null || true
    fi
    kill -s "$1" "$$"
}
trap 'stop_step INT' INT
trap 'stop_step TERM' TERM
trap 'stop_step HUP' HUP

# nap SECONDS: sleep without a child, which a signal would leave behind.
exec {nap_fd}<> <(:)
nap() { read -r -t "$1" -u "$nap_fd" || true; }

# step NAME TEXT COMMAND...: run it with its output in build/log/NAME.log, show that it lives once it took two
# seconds, and show the log when it fails. Returns the command's status.
step() {
    local name=$1 text=$2 began=$SECONDS status=0
    local log=$log_dir/$name.log
    shift 2
    mkdir -p "$log_dir"
    set -m
    "$@" >"$log" 2>&1 </dev/null &
    step_group=$!
    set +m
    watch_step "$step_group" "$text" "$log"
    wait "$step_group" || status=$?
    step_group=
    end_step "$status" "$text" "$log" $((SECONDS - began))
    return "$status"
}

watch_step() {
    local pid=$1 text=$2 log=$3 began=$SECONDS shown=0 every=10 elapsed
    [[ -t 2 ]] && every=1
    while kill -0 "$pid" 2>/dev/null; do
        nap 0.1
        elapsed=$((SECONDS - began))
        ((elapsed >= 2 && (shown == 0 || elapsed - shown >= every))) || continue
        shown=$elapsed
        show_progress "$text" "$elapsed" "$(grep -o '^ *\[[0-9]*/[0-9]*\]' "$log" | tail -n 1)"
    done
}

show_progress() {
    if [[ -t 2 ]]; then
        printf '\r\033[K%s … %d s %s' "$1" "$2" "$3" >&2
    else
        say "$1 … $2 s $3"
    fi
}

end_step() {
    local status=$1 text=$2 log=$3 seconds=$4
    [[ -t 2 ]] && printf '\r\033[K' >&2
    if ((status == 0)); then
        ((seconds < 2)) || say "$text: done in $seconds s"
        return 0
    fi
    tail -n 120 "$log" >&2
    say "dev: $text failed (exit $status); the whole log is \`${log#"$root"/}\`"
}

# One ./dev at a time works on a checkout's build folder; the next one waits. Dropped by unlock_checkout, since
# what a verb starts afterwards must not hold it.
lock_checkout() {
    mkdir -p "$root/build"
    exec {lock_fd}>"$root/build/.lock"
    flock -n "$lock_fd" || {
        say "waiting for another ./dev in this checkout"
        flock "$lock_fd"
    }
}

unlock_checkout() { exec {lock_fd}>&-; }

# short_hash < TEXT
short_hash() { sha256sum | cut -c 1-12; }
