#!/usr/bin/env bash
# Builds gpuctl in the builder's root file system and installs it into OUT, which is /opt/lab there and in every node.
# Called by kit.py in namespaces of its own; the builder itself stays as it is (writes go to memory).
#
#   build-kit.sh BUILDER REPOSITORY WHEELS KEPT OUT      KEPT: objects and tools of the last build
set -euo pipefail
builder=$1 repository=$2 wheels=$3 kept=$4 out=$5
layers=$LAB_SCRATCH
root=$layers/root

mkdir -p "$layers"
mount -t tmpfs layers "$layers"
mkdir "$layers/upper" "$layers/work" "$root"
mount -t overlay -o "lowerdir=$builder,upperdir=$layers/upper,workdir=$layers/work" builder "$root"
mkdir -p "$root/gpuctl" "$root/wheels" "$root/kept" "$root/opt/lab"
mount --bind "$repository" "$root/gpuctl"
mount -o remount,bind,ro "$root/gpuctl"
mount --bind "$wheels" "$root/wheels"
mount --bind "$kept" "$root/kept"
mount --bind "$out" "$root/opt/lab"
mount -t proc proc "$root/proc"
for node in null zero full random urandom; do
    : >"$root/dev/$node" 2>/dev/null || true
    mount --bind "/dev/$node" "$root/dev/$node"
done

exec env -i HOME=/root LANG=C.UTF-8 PATH=/kept/tools/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)" chroot "$root" bash -euc '
    cd /gpuctl/requirements
    cat build.txt constraints.txt | cmp --silent - /kept/tools/made-of || {
        rm -rf /kept/tools /kept/objects
        python3 -m venv /kept/tools
        /kept/tools/bin/python -m pip install --no-index --find-links /wheels -r build.txt -c constraints.txt
        cat build.txt constraints.txt >/kept/tools/made-of
    }
    python3 -m venv --without-pip /opt/lab
    /kept/tools/bin/python -m pip wheel -v --no-index --no-build-isolation --no-deps --wheel-dir /tmp/wheel \
        -Cbuild-dir=/kept/objects -Ccmake.define.GPUCTL_LINK=static /gpuctl
    /kept/tools/bin/python -m pip --python /opt/lab/bin/python install --no-index --no-compile --find-links /wheels \
        -r run.txt -c constraints.txt
    /kept/tools/bin/python -m pip --python /opt/lab/bin/python install --no-index --no-deps --no-compile /tmp/wheel/*.whl
    rm -f /opt/lab/bin/activate* /opt/lab/bin/Activate*'
