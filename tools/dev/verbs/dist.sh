# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
#: make the static binary for sites in dist/: ./dev dist
#:
#: The tarball is dist/gpuctl-VERSION-x86_64.tar.gz: the binary, its man page and completions, README, LICENSE.
#: Proves that the binary needs no library (readelf -d) and runs in an empty root. The same sources give the same
#: bytes (SOURCE_DATE_EPOCH is respected).

verb_main() {
    local version machine name
    (($# == 0)) || die "\`dist\` takes no arguments" 2
    machine=$(uname -m)
    [[ $machine == x86_64 ]] || die "only x86_64 is built for now; this is \`$machine\`"
    source "$root/tools/dev/setup.sh"
    set_up_tools
    need_packages static_libc readelf
    cd "$root"
    version=$(head -n 1 VERSION)
    name=gpuctl-$version-$machine
    lock_checkout
    use_compiler
    step dist-build "compiling the static gpuctl" build_static || exit 1
    lay_out "build/dist/root/$name"
    check_needs_nothing "build/dist/root/$name/bin/gpuctl"
    check_runs_alone "build/dist/root/$name/bin/gpuctl" "$version"
    pack "$name"
    unlock_checkout
    say "dist/$name.tar.gz: $(stat -c %s "dist/$name.tar.gz") bytes"
}

# With the flags of ./dev test, so that ccache has the objects and they are those that were tested.
build_static() {
    cmake -S . -B build/dist -G Ninja -DCMAKE_BUILD_TYPE=Release -DGPUCTL_LINK=static -DPython3_EXECUTABLE="$python" &&
        cmake --build build/dist --target gpuctl gpuctl_share
}

lay_out() {
    local folder=$1 file
    rm -rf build/dist/root
    DESTDIR=$root/build/dist/install cmake --install build/dist --prefix / --strip >"$log_dir/dist-install.log"
    mkdir -p "$(dirname "$folder")"
    mv build/dist/install "$folder"
    for file in LICENSE README.md; do
        install -m 644 "$file" "$folder/$file"
    done
}

check_needs_nothing() {
    local dynamic
    dynamic=$(readelf -d "$1" | grep -E 'NEEDED|INTERP' || true)
    [[ -z $dynamic ]] || die "the binary is not static: $dynamic"
    ! readelf -l "$1" | grep -q INTERP || die "the binary asks for a dynamic loader"
}

# A root folder with nothing in it but the binary. Without root a user namespace gives the right to enter it.
check_runs_alone() {
    local folder=$root/build/dist/alone said as_root=()
    ((EUID == 0)) || as_root=(unshare --map-root-user)
    rm -rf "$folder"
    mkdir -p "$folder"
    cp "$1" "$folder/gpuctl"
    if ! ${as_root[@]+"${as_root[@]}"} true 2>/dev/null; then
        say "dist: cannot enter an empty root here (no user namespaces), so this was not tried"
        return 0
    fi
    said=$(${as_root[@]+"${as_root[@]}"} chroot "$folder" /gpuctl --version) || die "it does not run in an empty root"
    [[ $said == *"$2"* ]] || die "\`--version\` said \`$said\` in an empty root, expected $2"
    rm -rf "$folder"
}

pack() {
    local name=$1 epoch=${SOURCE_DATE_EPOCH:-}
    [[ -n $epoch ]] || epoch=$(git log -1 --format=%ct 2>/dev/null) || epoch=315532800
    mkdir -p dist
    tar --create --directory build/dist/root --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner \
        --mode=u+rwX,go=rX --format=gnu "$name" | gzip -n -9 >"dist/$name.tar.gz"
}
