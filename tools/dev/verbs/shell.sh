# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: set everything up and run a command with gpuctl and Python at hand: ./dev shell [COMMAND…]
#:
#: Without a command it starts your shell. Examples:
#:   ./dev shell gpuctl discover
#:   ./dev shell python -c 'import gpuctl'

verb_main() {
    source "$root/tools/dev/setup.sh"
    set_up product
    (($#)) || set -- "${SHELL:-bash}"
    exec "$@"
}
