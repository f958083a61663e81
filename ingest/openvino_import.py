"""The one way to OpenVINO, whose import would write `~/intel` for a telemetry nobody asked for."""

from __future__ import annotations

import sys
from typing import Any

TELEMETRY = "openvino_telemetry"


def without_telemetry() -> None:
    """Let an import of OpenVINO, ours or another package's, find no telemetry: it has a stub."""
    sys.modules.setdefault(TELEMETRY, None)  # type: ignore[arg-type]  # None: cannot be imported


def import_openvino() -> Any:
    """The module `openvino`. Raises ImportError where it is not installed."""
    without_telemetry()
    import openvino

    return openvino
