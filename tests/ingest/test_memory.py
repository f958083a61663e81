from __future__ import annotations

import subprocess
import sys

import pytest

# memory freed below what is still held, which the allocator keeps
HOLDS = """
import ctypes, os
from pathlib import Path
from ingest.memory import give_back

libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]

def resident():
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")

before = resident()
blocks = [libc.malloc(100_000) for _ in range(1_000)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]:
    libc.free(block)
held = resident() - before
give_back(above=10**12)
print(held, resident() - before, end=" ")
give_back(above=0)
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and glibc")
def test_free_memory_goes_back_where_there_is_much() -> None:
    done = subprocess.run([sys.executable, "-c", HOLDS], stdout=subprocess.PIPE, check=True)
    held, below, after = map(int, done.stdout.split())
    assert held > 90_000_000
    assert below > 90_000_000
    assert after < 20_000_000
