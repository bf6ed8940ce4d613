# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: the virtual worker node, with systemd, Slurm, HTCondor, Apptainer, Podman: ./dev lab shell | test | build | status | clean
#:
#:   ./dev lab shell [--tier ns|vm] [--node NAME] [--kernel 5.10] [--user pilot|other|root]
#:                                 a shell on a fresh node with gpuctl installed
#:   ./dev lab test [PATH…] [flags of pytest]     the tests that need it; two at a time without arguments
#:   ./dev lab build | status | clean             make all of it now, say what is there, remove it
#:   ./dev lab record                             write tests/data/places anew: what a process sees in each place
#:
#: ns: systemd in namespaces on this machine's kernel, at once. vm: a virtual machine in software emulation with
#: every controller of cgroup v2, some seconds. Needs root, apt (any Debian) and about 5 GB in the cache folder;
#: the first time takes some minutes. docs/lab.md tells how it is made and how to write a test for it.

verb_main() {
    local verb=${1:-}
    if [[ ! $verb =~ ^(shell|test|build|record|status|clean)$ ]]; then
        die "the verbs of \`lab\` are: shell, test, build, record, status, clean; ./dev lab --help says more" 2
    fi
    shift
    [[ $verb == status ]] || ((EUID == 0)) || die "a worker node needs root (mounts, namespaces); type: sudo ./dev lab $verb" 2
    source "$root/tools/dev/setup.sh"
    set_up_tools
    need_wheels test
    [[ $verb == status || $verb == clean ]] || need_packages mmdebstrap mke2fs
    cd "$root"
    if [[ $verb == test ]]; then
        # shellcheck disable=SC2046 # a list of words
        (($#)) || set -- $(side_by_side)
        exec "$python" -m pytest --lab --override-ini testpaths=tests/lab "$@"
    fi
    PYTHONPATH=$root/tests exec "$python" -m lab "$verb" "$@"
}

# All of them: two files at a time, since much of it is waiting for services, where there is memory for two machines.
side_by_side() {
    local available_kb
    available_kb=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB$/\1/p' /proc/meminfo)
    ((available_kb < 10000000)) || echo "-n 2 --dist loadfile -p no:benchmark"
}
