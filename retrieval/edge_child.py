"""Starts a module of ours as a process of its own, for what may end or hold up this one."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys

_START = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"
_PR_SET_PDEATHSIG = 1


def run_main(module: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """What `main` of a module said, which finds `arguments` behind `sys.argv[0]`.

    It imports from where this process does. Raises OSError where it cannot be started.
    """
    path = [os.path.abspath(entry) for entry in sys.path]
    return subprocess.run(
        [sys.executable, "-sBc", _START.format(path=path, module=module), *arguments],
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


def die_with(parent: int) -> None:
    """Let this process end when the one that has started it, of that process id, does (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before this could be asked for
            os._exit(1)
