# shellcheck shell=bash disable=SC2154,SC2164 # `root` and others come from ./dev, which has set -e
# What the machine itself must have. Missing packages are installed by root; anybody else gets the line to type.
# cmake, ninja and every other tool come from PyPI into a venv (venv.sh), so this list stays short.

# need_packages NEED...: make sure that each is there. A need is a function have_NEED and a row of package_of.
need_packages() {
    local missing
    missing=$(missing_needs "$@")
    [[ -n $missing ]] || return 0
    # shellcheck disable=SC2086 # a list of words
    install_packages $missing
    missing=$(missing_needs "$@")
    [[ -z $missing ]] || die "still missing after the installation: ${missing//$'\n'/ }"
}

# wish_for NEED: root gets it where it can be had; nothing depends on it.
wish_for() {
    "have_$1" || ! is_root || (need_packages "$1") || say "going on without $1"
}

missing_needs() {
    local need
    for need in "$@"; do
        "have_$need" || echo "$need"
    done
}

have_compiler() { find_compiler >/dev/null; }
have_python() { find_python >/dev/null; }
have_doctest() { [[ -f /usr/include/doctest/doctest.h || -f /usr/local/include/doctest/doctest.h ]]; }
have_certificates() { [[ -s /etc/ssl/certs/ca-certificates.crt || -d /etc/pki/tls/certs ]]; }
have_lspci() { command -v lspci >/dev/null; }
have_busybox() { command -v busybox >/dev/null || ! command -v apt-get >/dev/null; } # EL has none
have_chattr() { command -v chattr >/dev/null; }
have_bwrap() { command -v bwrap >/dev/null; }
have_ccache() { command -v ccache >/dev/null; }
have_find() { command -v find >/dev/null && command -v xargs >/dev/null; }
have_strace() { command -v strace >/dev/null; }
have_flock() { command -v flock >/dev/null; }
have_readelf() { command -v readelf >/dev/null; }
have_opencl() { [[ -n $(find /usr/lib /usr/lib64 -maxdepth 2 -name 'libOpenCL.so.1' -print -quit 2>/dev/null) && -n $(find /etc/OpenCL/vendors -name '*.icd' -print -quit 2>/dev/null) ]]; }
have_javac() { command -v javac >/dev/null; }
have_spirv_as() { command -v spirv-as >/dev/null; }
have_mmdebstrap() { command -v mmdebstrap >/dev/null; }
have_mke2fs() { command -v mke2fs >/dev/null || [[ -x /sbin/mke2fs ]]; }
have_static_libc() { [[ -n $(find /usr/lib /usr/lib64 -maxdepth 2 -name libc.a -print -quit 2>/dev/null) ]]; }

package_of() {
    case $1:$2 in
    compiler:apt) echo g++ ;;
    compiler:dnf) compiler_for_el ;;
    python:apt) echo python3 python3-venv python3-dev ;;
    python:dnf) python_for_el ;;
    doctest:apt) echo doctest-dev ;;
    doctest:dnf) echo doctest-devel ;;
    certificates:*) echo ca-certificates ;;
    lspci:apt) echo pciutils pci.ids ;;
    lspci:dnf) echo pciutils hwdata ;;
    busybox:*) echo busybox ;;
    chattr:* | mke2fs:*) echo e2fsprogs ;;
    opencl:apt) echo pocl-opencl-icd ocl-icd-libopencl1 ;;
    opencl:dnf) echo pocl ocl-icd ;;
    javac:apt) echo default-jdk-headless ;;
    javac:dnf) echo java-17-openjdk-devel ;;
    spirv_as:*) echo spirv-tools ;;
    mmdebstrap:*) echo mmdebstrap ;;
    bwrap:*) echo bubblewrap ;;
    find:*) echo findutils ;;
    ccache:*) echo ccache ;;
    strace:*) echo strace ;;
    flock:*) echo util-linux ;;
    readelf:*) echo binutils ;;
    static_libc:apt) echo libc6-dev ;;
    static_libc:dnf) echo glibc-static libstdc++-static ;;
    *) die "no package is known for \`$1\` with $2" ;;
    esac
}

# EL 8 has g++ 8 and Python 3.6: its newer ones have other names.
is_el8() { [[ $(. /etc/os-release 2>/dev/null && echo "${PLATFORM_ID:-}") == platform:el8 ]]; }
compiler_for_el() { if is_el8; then echo gcc-toolset-12-gcc-c++; else echo gcc-c++; fi; }
python_for_el() { if is_el8; then echo python3.11 python3.11-devel; else echo python3 python3-devel; fi; }

# The first C++ compiler that knows enough C++20. $CXX decides alone where it is set.
find_compiler() {
    local candidate=${found_compiler:-${CXX:-}}
    if [[ -n $candidate ]]; then
        echo "$candidate"
        return 0
    fi
    for candidate in c++ g++ /opt/rh/gcc-toolset-1[0-9]/root/usr/bin/g++ clang++; do
        if command -v "$candidate" >/dev/null && compiler_is_new_enough "$candidate"; then
            command -v "$candidate"
            return 0
        fi
    done
    return 1
}

compiler_is_new_enough() {
    local major
    major=$("$1" -dumpversion 2>/dev/null | cut -d . -f 1)
    [[ $major =~ ^[0-9]+$ ]] && ((major >= 10))
}

# The first Python >= 3.9 with venv, pip to put in it, and headers, as "VERSION PROGRAM". $PYTHON decides alone where
# it is set. Asked for once: starting interpreters is most of what an idle ./dev does.
find_python() {
    local candidate version
    if [[ -n ${found_python:-} ]]; then
        echo "$found_python"
        return 0
    fi
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python3.10 python3.9}; do
        if command -v "$candidate" >/dev/null && version=$(complete_python "$candidate"); then
            echo "$version"
            return 0
        fi
    done
    return 1
}

complete_python() {
    "$1" -I -c '
import sys
if sys.version_info < (3, 9): sys.exit(1)
import importlib.util, os, sysconfig
if not all(map(importlib.util.find_spec, ["venv", "ensurepip"])): sys.exit(1)
if not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")): sys.exit(1)
print("%d.%d.%d" % sys.version_info[:3], sys.executable)' 2>/dev/null
}

is_root() { ((EUID == 0)); }

install_packages() {
    if command -v apt-get >/dev/null; then
        install_with_apt "$(packages_for apt "$@")"
    elif command -v dnf >/dev/null; then
        install_with_dnf "$(packages_for dnf "$@")"
    else
        die "missing: $*; install them with this system's packages (Debian: $(packages_for apt "$@"))" 2
    fi
}

packages_for() {
    local manager=$1 need found=()
    shift
    for need in "$@"; do
        found+=("$(package_of "$need" "$manager")")
    done
    echo "${found[*]}"
}

install_with_apt() {
    local packages=$1
    is_root || die "missing packages; type: sudo apt-get install -y --no-install-recommends $packages" 2
    # shellcheck disable=SC2086 # a list of words
    if ! apt-get install --simulate --no-install-recommends $packages >/dev/null 2>&1; then
        step apt-update "reading the package lists" apt-get update || exit 1
    fi
    # lists that are there can still be too old for what the mirror has
    apt_install "$packages" || {
        step apt-update "reading the package lists" apt-get update && apt_install "$packages"
    } || exit 1
}

apt_install() {
    # shellcheck disable=SC2086 # a list of words
    step apt-install "installing $1" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends $1
}

install_with_dnf() {
    local packages=$1 prepare=
    ! needs_epel "$packages" || prepare="dnf install -y epel-release && "
    # the switch comes with epel-release and knows what each EL calls that repository
    ! needs_crb "$packages" || prepare="dnf install -y epel-release && crb enable && "
    is_root || die "missing packages; type: sudo sh -c '${prepare}dnf install -y $packages'" 2
    step dnf-install "installing $packages" sh -c "${prepare}dnf install -y $packages" || exit 1
}

needs_epel() { [[ " $1 " =~ \ (doctest-devel|ccache|pocl|mmdebstrap)\  ]]; }
needs_crb() { [[ " $1 " =~ \ glibc-static\  ]]; }
