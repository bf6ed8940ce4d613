# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
# One compile gives the wheel, the binary and (for tests) the C++ test programs: pip drives scikit-build-core with a
# kept build folder, and the wheel is installed into the venv. Nothing runs when no source changed.

build_dir=$root/build/dev

# ensure_build product|tests: the venv has gpuctl of the present sources; with `tests`, so has build/dev/cpp-tests.
ensure_build() {
    local level=$1 wanted
    lock_checkout
    # once the tests were built they stay in: taking them out would make ninja delete their objects
    [[ ! -d $build_dir/cpp-tests ]] || level=tests
    wanted="$level $(fingerprint)"
    if [[ $(cat "$build_dir/.installed" 2>/dev/null) != "$wanted" ]] || ! [[ -x $venv/bin/gpuctl ]]; then
        forget_foreign_build
        install_project "$level"
        echo "$wanted" >"$build_dir/.installed"
    fi
    unlock_checkout
}

# Names, sizes and times of everything that the build reads, and where it was built. git is not promised here.
fingerprint() {
    {
        echo "$venv" "$(find_compiler)"
        cd "$root"
        find CMakeLists.txt LICENSE README.md VERSION pyproject.toml cmake cpp python sitesonar tests/cpp \
            -type f ! -name '*.pyc' -printf '%p %s %T@\n' | LC_ALL=C sort
    } | short_hash
}

# A build folder remembers absolute paths: one of another Python, compiler or place of the checkout is no use.
forget_foreign_build() {
    local key
    key="$venv $(find_compiler)"
    if [[ $(cat "$build_dir/.made_for" 2>/dev/null) != "$key" ]]; then
        rm -rf "$build_dir"
        mkdir -p "$build_dir"
        echo "$key" >"$build_dir/.made_for"
    fi
}

install_project() {
    local tests=OFF
    [[ $1 != tests ]] || tests=ON
    step build "compiling gpuctl" "$python" -m pip install --disable-pip-version-check --no-input -v \
        --no-build-isolation --no-deps --force-reinstall \
        -Cbuild-dir=build/dev "-Ccmake.define.GPUCTL_TESTS=$tests" "$root" || exit 1
}

use_compiler() {
    CXX=$(find_compiler)
    CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}
    export CXX CMAKE_BUILD_PARALLEL_LEVEL
    use_compiler_cache
}

# What any checkout has compiled before, ccache has kept in the user's cache folder; paths below the checkout count as
# seen from the build folder, so they are the same in each. Without it everything is compiled: nothing else differs.
use_compiler_cache() {
    command -v ccache >/dev/null || return 0
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$root
}
