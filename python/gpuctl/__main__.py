"""`python -m gpuctl …` is `gpuctl …`: the environment's own binary takes this process over."""

from __future__ import annotations

import os
import sys

from gpuctl.binary import find_binary
from gpuctl.errors import GpuctlError


def main() -> int:
    try:
        binary = find_binary()
        os.execv(binary, [binary, *sys.argv[1:]])
    except GpuctlError as error:
        print(f"gpuctl: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"gpuctl: cannot execute `{binary}`: {error.strerror}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
