# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
# set_up product|tests: packages, venv, build; afterwards `venv` and `python` are set, the venv is first on PATH.

# shellcheck source=tools/dev/packages.sh
source "$root/tools/dev/packages.sh"
# shellcheck source=tools/dev/venv.sh
source "$root/tools/dev/venv.sh"
# shellcheck source=tools/dev/build.sh
source "$root/tools/dev/build.sh"

set_up() {
    local level=$1
    set_up_tools
    [[ -d $build_dir ]] || wish_for ccache # once per checkout: it may not be to be had
    use_compiler
    ensure_build "$level"
}

# The tools without gpuctl itself.
set_up_tools() {
    found_python=$(find_python) || found_python=
    found_compiler=$(find_compiler) || found_compiler=
    need_packages find flock compiler python certificates doctest
    use_venv
}
