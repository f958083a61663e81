"""PDFium's functions called with plain addresses: for those that are called for every character.

The bindings check and convert each argument, which takes longer than what most functions do.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import pypdfium2.raw as pdfium

ADDRESS = ctypes.c_void_p


@cache
def direct(name: str, answer: Any, *arguments: Any) -> Any:
    """The function `name`; handles and pointers are ADDRESS: numbers, None for nothing."""
    function: Any = ctypes.cast(getattr(pdfium, name), ADDRESS).value
    return ctypes.CFUNCTYPE(answer, *arguments)(function)


def address(handle: Any) -> int | None:
    """Where what a handle of the bindings stands for is."""
    return ctypes.cast(handle, ADDRESS).value
