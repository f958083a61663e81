from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ingest.openvino_import import TELEMETRY
from tests.qa.command_line import environment

pytestmark = pytest.mark.integration

EMBED = """
import sys
from pathlib import Path
from retrieval.openvino_embedder import OpenVinoEmbedder
OpenVinoEmbedder(Path(sys.argv[1])).embed(["annual leave"])
"""
READ = """
import numpy as np
from ingest.loaders.ocr_models import lines_in
lines_in(np.full((64, 64, 3), 255, np.uint8))
"""


@pytest.mark.parametrize("script", [EMBED, READ], ids=["embedder", "ocr"])
def test_nothing_is_written_into_the_home(script: str, cache_dir: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    script += f"import sys\nassert sys.modules['{TELEMETRY}'] is None"
    subprocess.run(
        [sys.executable, "-c", script, str(cache_dir)],
        check=True,
        env=environment(HOME=str(home), XDG_CONFIG_HOME=str(home), XDG_CACHE_HOME=str(home)),
    )
    assert os.listdir(home) == []
