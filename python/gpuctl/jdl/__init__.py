"""Read, print and interpret JDL, the job description language of JAliEn.

`load` and `loads` give a `Jdl`: an ordered mapping, looked up ignoring case, with the values that
JAliEn's own parser gives and a warning for each text that JAliEn accepts only by accident. `dumps`
prints it back, and what is printed parses to the same document. `JobRequest.from_jdl` is the typed
view of the tags that gpuctl acts on.

Example:
    doc = gpuctl.jdl.load("job.jdl")
    request = gpuctl.jdl.JobRequest.from_jdl(doc)
    print(request.executable, request.gpu, request.ttl_seconds)

What differs from JAliEn, and why, is in docs/design/jdl.md.
"""

from __future__ import annotations

from gpuctl.jdl.document import Expression, Jdl, JdlWarning, Position, Value
from gpuctl.jdl.errors import JdlSyntaxError, JdlValueError
from gpuctl.jdl.files import MAX_JDL_BYTES, load
from gpuctl.jdl.parser import loads
from gpuctl.jdl.printer import dumps
from gpuctl.jdl.request import JobRequest
from gpuctl.jdl.wish import GpuWish

__all__ = [
    "MAX_JDL_BYTES",
    "Expression",
    "GpuWish",
    "Jdl",
    "JdlSyntaxError",
    "JdlValueError",
    "JdlWarning",
    "JobRequest",
    "Position",
    "Value",
    "dumps",
    "load",
    "loads",
]
