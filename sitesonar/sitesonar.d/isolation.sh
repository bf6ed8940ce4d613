#!/bin/sh
# What the kernel offers an unprivileged user to keep jobs apart. Answers in schema/isolation.json.
# shellcheck source=sitesonar/sitesonar.d/lib/common.sh
. "${0%/*}/lib/common.sh"

# unshared FLAGS...: whether a program can be run behind these namespaces; it ends at once
unshared() { have unshare && limited 5 unshare "$@" true; }

status_field() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status 2>/dev/null | head -n 1; }

lsm=$(read_line /sys/kernel/security/lsm)

# security LSM: whether it is among those that run; null where securityfs is not mounted or not to be read
security() {
    case ",$lsm," in
    ,,) printf null ;;
    *",$1,"*) printf true ;;
    *) printf false ;;
    esac
}

printf '{"user_namespaces":%s,' "$(json_bool unshared -U)"
printf '"pid_namespaces":%s,' "$(json_bool unshared -U -r -p -f)"
printf '"mount_namespaces":%s,' "$(json_bool unshared -U -r -m)"
printf '"max_user_namespaces":%s,' "$(json_number "$(read_line /proc/sys/user/max_user_namespaces)")"
printf '"unprivileged_clone":%s,' "$(json_number "$(read_line /proc/sys/kernel/unprivileged_userns_clone)")"
printf '"apparmor_restricts":%s,' \
    "$(json_number "$(read_line /proc/sys/kernel/apparmor_restrict_unprivileged_userns)")"
printf '"landlock":%s,' "$(security landlock)"
printf '"lsm":%s,' "$(json_string "$lsm")"
printf '"seccomp_mode":%s,' "$(json_number "$(status_field Seccomp)")"
printf '"no_new_privileges":%s,' "$(json_number "$(status_field NoNewPrivs)")"
printf '"ptrace_scope":%s,' "$(json_number "$(read_line /proc/sys/kernel/yama/ptrace_scope)")"
printf '"taskset":%s,' "$(json_bool have taskset)"
printf '"uid":%s}\n' "$(json_number "$(id -u)")"
