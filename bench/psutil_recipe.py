"""The recipe of psutil's documentation for ending a process tree: `psutil_recipe.py PID`.

Prints how long it took in microseconds.
"""

import contextlib
import sys
import time

import psutil

began = time.perf_counter()
parent = psutil.Process(int(sys.argv[1]))
children = parent.children(recursive=True)
children.append(parent)
for each in children:
    with contextlib.suppress(psutil.NoSuchProcess):
        each.kill()
psutil.wait_procs(children, timeout=5)
print(round((time.perf_counter() - began) * 1e6))
