"""Starts a module of ours as a process of its own, for what may end or hold up this one."""

from __future__ import annotations

import os
import subprocess
import sys

_START = "import sys; sys.path[:] = {path!r}; from {module} import main; main()"


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
