#!/bin/sh
# Space where work directories are made, in /tmp and /dev/shm. Writes nothing. Answers in schema/disk.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

# The order is JAliEn's: the last one set wins there, the first one here.
work_folder() {
    for folder in "${TMPBATCH:-}" "${WORKDIR:-}" "${TMPDIR:-}" /tmp; do
        [ -n "$folder" ] && { printf '%s\n' "$folder"; return; }
    done
}

# table_field FLAGS N FOLDER: of the second line of df; -P keeps it on one line
table_field() {
    limited 10 df "$1" "$3" 2>/dev/null | sed -n '2p' | while read -r a b c d rest; do
        case $2 in 1) echo "$a" ;; 2) echo "$b" ;; 3) echo "$c" ;; 4) echo "$d" ;; *) echo "$rest" ;; esac
    done
}

file_system() {
    limited 10 stat -f -c %T "$1" 2>/dev/null
}

# place NAME FOLDER
place() {
    printf '"%s":{"path":%s,' "$1" "$(json_string "$2")"
    printf '"free_kib":%s,' "$(json_number "$(table_field -Pk 4 "$2")")"
    printf '"total_kib":%s,' "$(json_number "$(table_field -Pk 2 "$2")")"
    printf '"free_inodes":%s,' "$(json_number "$(table_field -Pi 4 "$2")")"
    printf '"file_system":%s,' "$(json_string "$(file_system "$2")")"
    printf '"writable":%s}' "$(json_bool test -w "$2")"
}

printf '{'
place workdir "$(work_folder)"
printf ','
place tmp /tmp
printf ','
place shm /dev/shm
printf '}\n'
