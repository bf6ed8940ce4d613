#!/bin/sh
# The payload of hello.jdl: says what a job sees of its node, and leaves one file behind.
echo "Hello from ${1:-nobody}, job ${ALIEN_PROC_ID:-without id}, on $(uname -sr)"
echo "work directory: $(pwd)"
count() { echo "$#"; }
echo "processes that I can see: $(count /proc/[0-9]*), my own pid: $$"
found=none
for node in /dev/nvidia[0-9]* /dev/dri/renderD*; do
    if [ -r "$node" ] && [ -w "$node" ]; then
        echo "GPU device: $node"
        found=some
    fi
done
[ "$found" = some ] || echo "GPU device: none, so I compute on the CPU"
awk 'BEGIN { for (i = 1; i <= 100000; i++) sum += 1 / (i * i); printf "pi is about %.4f\n", sqrt(6 * sum) }'
echo "Hello from $(uname -n)" > greeting.txt
