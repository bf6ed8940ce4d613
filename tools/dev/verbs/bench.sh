# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: measure against peers in the same run and print a table of ratios: ./dev bench [PATH…] [flags of pytest]
#:
#: The figures also go to build/bench.json. Absolute times depend on the machine; the ratios are what counts.

verb_main() {
    source "$root/tools/dev/setup.sh"
    need_packages lspci bwrap
    set_up product
    need_wheels test
    cd "$root"
    (($#)) || set -- bench
    exec "$python" -m pytest -p no:cacheprovider --benchmark-disable-gc --benchmark-columns=median,iqr,rounds "$@"
}
