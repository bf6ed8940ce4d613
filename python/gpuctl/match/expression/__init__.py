"""`Requirements` of a JDL as an expression over a node and a job, with the semantics of ClassAds.

    compiled = compile_text('other.TTL > 3600 && member(other.GridPartitions, "prod")')
    compiled.evaluate(node, job)      # True, False, UNDEFINED, ERROR, or any other value

`node` and `job` are plain dicts from lower-case names to values; `other.X` (or `target.X`) looks
into the node, `self.X`, `my.X` or a bare name into the job. What is not there is UNDEFINED, which
is neither true nor false. A compiled expression keeps a count of its work, so one thread at a time.

values.py     the values and their kinds
grammar.py    text to nodes, by lark; nodes.py what they are, and back to text
operators.py  what operators do, in three-valued logic
functions.py  the table of functions; list_functions, text_functions, number_functions do it
pattern.py    regular expressions in linear time
compiler.py   nodes to closures

The differences from HTCondor's ClassAds, and why, are in docs/design/matching.md. Importing this
package does not import lark: `grammar` does, when the first expression is compiled.
"""

from __future__ import annotations

from gpuctl.match.expression.compiler import Compiled, compile_node, compile_text
from gpuctl.match.expression.errors import ExpressionError
from gpuctl.match.expression.values import ERROR, UNDEFINED, Value

__all__ = [
    "ERROR",
    "UNDEFINED",
    "Compiled",
    "ExpressionError",
    "Value",
    "compile_node",
    "compile_text",
]
