# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
# The Python environment of a checkout: in the user's cache folder, one per checkout, Python version and pinned build
# tools, so that two clones never share one. Nothing in it is precious: it is made again whenever it looks wrong.

# use_venv: make it if needed, and put it first on PATH. Sets `venv` and `python`.
use_venv() {
    local found
    found=$(find_python) || die "no Python >= 3.9 with venv and headers was found"
    venv=$(venv_folder "${found%% *}")
    python=$venv/bin/python
    if ! [[ -f $venv/bin/pip ]] || ! "$python" -I -S -c '' 2>/dev/null; then
        make_venv "${found#* }" "$venv"
    fi
    export VIRTUAL_ENV=$venv PATH=$venv/bin:$PATH
    unset PYTHONHOME PYTHONPATH
    need_wheels build
    need_wheels run
}

venv_folder() {
    local cache=${XDG_CACHE_HOME:-$HOME/.cache}/gpuctl/venv
    echo "$cache/$(echo "$root" | short_hash)/python$1-$(short_hash <"$root/requirements/build.txt")"
}

# Older ones of the same checkout and Python go: they were made for other build tools.
make_venv() {
    local base=$1 folder=$2
    rm -rf "${folder%-*}"-*
    mkdir -p "$(dirname "$folder")"
    step venv "making a Python environment" "$base" -m venv "$folder" || exit 1
}

# need_wheels NAME: what requirements/NAME.txt pins is in the venv. The copy beside it says what was installed.
need_wheels() {
    local list=$root/requirements/$1.txt constraints=$root/requirements/constraints.txt done_list=$venv/installed-$1.txt
    [[ $(cat "$list" "$constraints") == $(cat "$done_list" 2>/dev/null) ]] && return 0
    step "pip-$1" "installing requirements/$1.txt" \
        "$python" -m pip install --disable-pip-version-check --no-input -r "$list" -c "$constraints" || exit 1
    cat "$list" "$constraints" >"$done_list"
}
