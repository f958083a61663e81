"""A page of a PDF as a picture. It is drawn by a process of its own that is confined like those
that read files: a PDF is a stranger's, and its renderer is native code.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

from ingest import sandbox
from ingest.scratch import scratch_folder

WIDEST, HIGHEST = 1200, 2400  # pixels
TIMEOUT = 20.0  # seconds
MEMORY = 1_000_000_000  # bytes
_START = "import sys; sys.path[:] = {path!r}; from ingest.page_image import main; main()"


class CannotDraw(Exception):
    """A page of which there is no picture; the message says why."""


def page_image(path: str, number: int) -> bytes:
    """PNG of page `number`, from 1. Raises CannotDraw for one that cannot be drawn."""
    with scratch_folder("page") as folder:
        said = json.dumps([path, number, str(folder), os.getpid()])
        command = [sys.executable, "-sBc", _START.format(path=list(map(os.path.abspath, sys.path)))]
        try:
            done = subprocess.run(
                [*command, said],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise CannotDraw(f"page {number} took more than {TIMEOUT:.0f} s to draw") from None
    if done.returncode or not done.stdout:
        raise CannotDraw(f"page {number} cannot be drawn")
    return done.stdout


def main() -> None:
    """Draw what the argument says, onto stdout."""
    path, number, folder, parent = json.loads(sys.argv[1])
    sandbox.enter(folder, parent=parent, memory=MEMORY)
    import pypdfium2

    page = pypdfium2.PdfDocument(path)[number - 1]
    width, height = page.get_size()
    picture = page.render(scale=min(WIDEST / width, HIGHEST / height)).to_pil()
    drawn = io.BytesIO()
    picture.convert("RGB").save(drawn, "PNG")
    sys.stdout.buffer.write(drawn.getvalue())
