# shellcheck shell=sh
# What every probe shares: JSON of plain ASCII, and commands that cannot hold a probe up.
#
# For POSIX sh as dash, bash and busybox have it, and tools as coreutils, busybox or an old distribution have them.

export LC_ALL=C

have() { command -v "$1" >/dev/null 2>&1; }

# limited SECONDS COMMAND...: the command without input, killed after that time. timeout(1) has three dialects: GNU and
# newer busybox take the time first, busybox before 1.30 after -t, and some systems have none.
limited() {
    limited_seconds=$1
    shift
    case $(timeout_dialect) in
    new) timeout -s KILL "$limited_seconds" "$@" </dev/null ;;
    old) timeout -s KILL -t "$limited_seconds" "$@" </dev/null ;;
    *) limited_by_watchdog "$@" ;;
    esac
}

timeout_dialect() {
    if timeout -s KILL 2 true >/dev/null 2>&1; then
        echo new
    elif timeout -s KILL -t 2 true >/dev/null 2>&1; then
        echo old
    fi
}

# The watchdog's own output is closed: whoever reads the probe must not wait for its sleep.
limited_by_watchdog() {
    "$@" </dev/null &
    limited_pid=$!
    (
        sleep "$limited_seconds"
        kill -9 "$limited_pid"
    ) </dev/null >/dev/null 2>&1 &
    limited_watchdog=$!
    limited_status=0
    wait "$limited_pid" 2>/dev/null || limited_status=$?
    kill "$limited_watchdog" 2>/dev/null
    return "$limited_status"
}

# first_line TEXT
first_line() { printf '%s\n' "$1" | head -n 1; }

# read_line FILE: its first line, nothing where it cannot be read. Not by `read`, which takes a byte at a time: the files of
# /proc/sys give the first byte and then say that this was all.
read_line() {
    [ -r "$1" ] && head -n 1 "$1" 2>/dev/null
}

# json_string TEXT: a string of at most 120 characters of ASCII; null for nothing
json_string() {
    plain=$(printf '%s' "$1" | tr -cd '\040-\176' | cut -c 1-120 | sed 's/\\/\\\\/g; s/"/\\"/g')
    if [ -n "$plain" ]; then printf '"%s"' "$plain"; else printf null; fi
}

# json_number TEXT: a whole number of at most 18 digits, else null; leading zeros go
json_number() {
    number=$1
    while [ "${number#0}" != "$number" ] && [ "$number" != 0 ]; do number=${number#0}; done
    case $number in
    '' | *[!0-9]* | ???????????????????*) printf null ;;
    *) printf '%s' "$number" ;;
    esac
}

# json_bool COMMAND...: whether it succeeds
json_bool() {
    if "$@" >/dev/null 2>&1; then printf true; else printf false; fi
}

# json_list WORD...: of strings
json_list() {
    printf '['
    separator=
    for word in "$@"; do
        printf '%s' "$separator"
        json_string "$word"
        separator=,
    done
    printf ']'
}
