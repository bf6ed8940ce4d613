# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: check the code: ruff, mypy, clang-format, clang-tidy, shellcheck, kernel paths: ./dev lint [--fix] [CHECK…]
#:
#: --fix    format what can be formatted, then check
#: CHECK    ruff, format, mypy, clang-format, clang-tidy, shellcheck, paths, headers: only these (default: all)
#:
#: clang-tidy looks only at files that changed, or whose headers did, since they last passed.

checks=(ruff format mypy clang-format shellcheck paths headers clang-tidy)

verb_main() {
    local fix='' wanted=() check failed=()
    while (($#)); do
        case $1 in
        --fix) fix=yes ;;
        *) wanted+=("$(known_check "$1")") || exit 2 ;;
        esac
        shift
    done
    source "$root/tools/dev/setup.sh"
    set_up_tools
    need_wheels test
    need_wheels lint
    cd "$root"
    [[ -z $fix ]] || fix_format
    ((${#wanted[@]})) || wanted=("${checks[@]}")
    for check in "${wanted[@]}"; do
        run_check "$check" || failed+=("$check")
    done
    [[ ${#failed[@]} == 0 ]] || die "failed: ${failed[*]}"
    say "lint: all passed"
}

known_check() {
    local check
    for check in "${checks[@]}"; do
        [[ $check != "$1" ]] || { echo "$1"; return 0; }
    done
    die "unknown check \`$1\`; there are: ${checks[*]}" 2
}

run_check() {
    step "lint-$1" "$1" "check_${1//-/_}" && say "$1: ok"
}

check_ruff() { ruff check .; }
check_format() { ruff format --check --diff .; }
check_mypy() { mypy python/gpuctl && check_mypy_loosely tests bench tools; }
check_clang_format() { cpp_files | xargs -0 clang-format --dry-run -Werror; }
check_shellcheck() { shell_files | xargs -0 shellcheck --external-sources; }
check_clang_tidy() { configure_tidy && "$python" tools/dev/tidy.py; }

# One file of each language may name the kernel's places; everything else goes through HostFs. Comments may give examples.
check_paths() {
    local found
    found=$(grep -rnE "[\"'](/sys|/proc|/dev)\b" cpp python --include='*.cpp' --include='*.hpp' --include='*.py' |
        grep -vE '^[^:]*/host_paths\.(hpp|py):' | grep -vE "^[^\"']*//.*[\"'](/sys|/proc|/dev)") || return 0
    echo "kernel paths outside host_paths.hpp and host_paths.py:"
    echo "$found"
    return 1
}

# Older libraries bring <cstdint> along with others, newer ones do not: a header that needs it says so.
check_headers() {
    local found
    found=$(grep -rlE '\bu?int(8|16|32|64)_t\b' cpp --include='*.hpp' | xargs grep -L '<cstdint>') || true
    [[ -n $found ]] || return 0
    echo "headers that use integers of a size without <cstdint>:"
    echo "$found"
    return 1
}

# Tests and tools hand fixtures and data about; what they check, they check by running.
check_mypy_loosely() {
    mypy --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls --allow-untyped-decorators \
        --allow-any-generics --no-warn-return-any --disable-error-code import-untyped "$@"
}

cpp_files() { find cpp tests/cpp -type f \( -name '*.cpp' -o -name '*.hpp' \) -print0; }

shell_files() {
    find dev .ci tools tests examples sitesonar -type f \
        \( -name '*.sh' -o -path dev -o -path .ci/run -o -path 'tests/lab/kit/bin/*' \) -print0
}

fix_format() {
    step lint-fix "formatting" format_all || exit 1
}

format_all() {
    ruff check --fix-only . && ruff format . && cpp_files | xargs -0 clang-format -i
}

configure_tidy() {
    cmake --preset tidy -DPython3_EXECUTABLE="$python" >"$log_dir/tidy-configure.log" 2>&1 || {
        cat "$log_dir/tidy-configure.log"
        return 1
    }
}
