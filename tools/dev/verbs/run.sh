# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: set everything up and run a job: ./dev run [FILE.jdl] [flags of `gpuctl job`]
#:
#: Without a file it runs examples/hello.jdl. Examples:
#:   ./dev run                        the first job
#:   ./dev run --json                 its report as JSON
#:   ./dev run my.jdl --ttl 60s       another job

verb_main() {
    local argument file=$root/examples/hello.jdl
    source "$root/tools/dev/setup.sh"
    set_up product
    for argument in "$@"; do
        [[ $argument != *.jdl ]] || file=
    done
    exec "$venv/bin/gpuctl" job ${file:+"$file"} "$@"
}
