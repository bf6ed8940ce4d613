# shellcheck shell=bash
# set_up product|tests: packages, venv, build; afterwards `venv` and `python` are set and first on PATH.

# shellcheck source=tools/dev/packages.sh
source "$root/tools/dev/packages.sh"
# shellcheck source=tools/dev/venv.sh
source "$root/tools/dev/venv.sh"
# shellcheck source=tools/dev/build.sh
source "$root/tools/dev/build.sh"

set_up() {
    local level=$1
    found_python=$(find_python) || found_python=
    found_compiler=$(find_compiler) || found_compiler=
    need_packages compiler python certificates
    [[ $level != tests ]] || need_packages doctest
    use_venv
    ensure_build "$level"
}
