# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: set everything up and run the tests: ./dev test [PATH…] [flags of pytest]
#:
#: Without a path it runs all that needs no special hardware, several at a time (-n 0: one after the other; most of them
#: wait more than they compute). C++ tests are items like the others:
#:   ./dev test tests/cpp                       every C++ test
#:   ./dev test tests/cpp/base/fd_test.cpp      one file of them
#:   ./dev test -m 'not slow'                   the quick ones
#:   ./dev test --stress tests/adversarial/test_stress.py     random process trees, killed at random moments
#:   ./dev test --fresh tests/fresh             the proof on a bare Debian system (root, some minutes each)

verb_main() {
    local arguments=() paths=''
    source "$root/tools/dev/setup.sh"
    set_up tests
    need_packages lspci chattr readelf strace bwrap opencl spirv_as busybox
    # half a gigabyte for one test: elsewhere it is skipped with that reason
    [[ ${CI:-} != true ]] || need_packages javac
    need_wheels test
    while (($#)); do
        [[ $1 == -* || ! -e ${1%%::*} ]] || paths=yes
        arguments+=("$(from_caller "$1")")
        shift
    done
    cd "$root"
    [[ $paths ]] || arguments=(-n "$(workers)" "${side_by_side[@]}" ${arguments[@]+"${arguments[@]}"})
    exec "$python" -m pytest ${arguments[@]+"${arguments[@]}"}
}

# Files go to one worker as a whole, since they share what is slow to make; nothing is measured beside others.
side_by_side=(--dist loadfile -p no:benchmark)

workers() {
    local cores
    cores=$(nproc)
    echo $((cores < 4 ? 2 * cores : 8))
}

# Paths are meant from where the person stands; pytest is started in the root, where its settings are.
from_caller() {
    if [[ $1 != -* && $PWD != "$root" && -e ${1%%::*} ]]; then
        printf '%s\n' "$PWD/$1"
    else
        printf '%s\n' "$1"
    fi
}
