"""`kbqa` and `python -m qa`: the command as a process of its own."""

from __future__ import annotations

import atexit
import gc
import os
import sys

_THRESHOLD = 50_000  # objects; of the 200,000 that come with the imports none is garbage (.1 s)
_FAILED = 1


def program() -> None:
    """Run the command line of this process, and end it."""
    gc.set_threshold(_THRESHOLD)
    from qa.cli import main
    from qa.command import ENDS_PROCESS

    ENDS_PROCESS.set(True)
    try:
        main()
    except SystemExit as exc:
        _end(exc.code if isinstance(exc.code, int) else _FAILED)


def _end(code: int) -> None:
    """At once: to free one object after the other takes .15 s."""
    atexit._run_exitfuncs()
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):  # None: was closed from outside
            stream.flush()
    except OSError:  # no one reads any more
        code = code or _FAILED
    os._exit(code)


if __name__ == "__main__":
    program()
