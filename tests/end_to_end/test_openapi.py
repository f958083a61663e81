"""The HTTP API against its own description: schemathesis sends what that allows and what not.

No 5xx, every status, media type and body as documented, no request without a key.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qa.server.keys import Role
from tests.qa.command_line import TIMEOUT
from tests.qa.server.serving import serving, settings_for

pytestmark = pytest.mark.end_to_end

# The phase `coverage` sends a thousand requests more: by hand, when the API has changed.
# What a filter is no schema can say, so that valid requests are refused; streams have no end here.
OPTIONS = (
    *("--phases", "examples,fuzzing", "--max-examples", "4", "--seed", "1", "--workers", "1"),
    *("--exclude-checks", "positive_data_acceptance", "--exclude-path-regex", "/events$"),
    *("--generation-database", "none", "--no-color", "--request-timeout", "30"),
)


def test_every_reply_is_as_documented(tmp_path: Path, cache_dir: Path) -> None:
    settings = settings_for(tmp_path, cache_dir, serve_rate=10**6)
    with serving(settings) as served:
        key = served.key(Role.ADMIN)["Authorization"]
        served.service.bases.create("handbook")
        process = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{served.url}/openapi.json",
             "-H", f"Authorization: {key}", *OPTIONS],
            capture_output=True, text=True, timeout=TIMEOUT, check=False, cwd=tmp_path,
        )  # fmt: skip
    assert process.returncode == 0, process.stdout
