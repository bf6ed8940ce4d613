#!/bin/sh
# Whether systemd keeps this user's services when nobody is logged in. Answers in schema/lingering.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

user=$(id -un 2>/dev/null)

systemd() { [ -d /run/systemd/system ]; }

lingering() { [ -n "$user" ] && [ -e "/var/lib/systemd/linger/$user" ]; }

runtime_folder() { printf '%s\n' "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"; }

# A user manager answers on this socket
bus() { [ -S "$(runtime_folder)/bus" ]; }

manager_state() {
    bus || return 0
    XDG_RUNTIME_DIR=$(runtime_folder)
    export XDG_RUNTIME_DIR
    limited 5 systemctl --user is-system-running 2>/dev/null
}

printf '{"systemd":%s,' "$(json_bool systemd)"
printf '"lingering":%s,' "$(json_bool lingering)"
printf '"runtime_folder":%s,' "$(json_bool test -d "$(runtime_folder)")"
printf '"user_bus":%s,' "$(json_bool bus)"
printf '"user_manager":%s,' "$(json_string "$(first_line "$(manager_state)")")"
printf '"kill_user_processes":%s}\n' \
    "$(json_bool grep -rqE '^KillUserProcesses=(yes|true|on|1)' /etc/systemd/logind.conf /etc/systemd/logind.conf.d)"
