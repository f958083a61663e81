"""What a process that parses strangers' files may not do: reach a network, write elsewhere.

Three layers, each as far as the system has it: an audit hook sees what Python code does, anywhere;
seccomp and Landlock hold native code as well (Linux on x86-64 and ARM64). None can be taken off
again. Files may be read: Python needs its own, and the parser the one that it was given.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterator
from typing import Any

_PR_SET_PDEATHSIG, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 1, 22, 38
_SIGKILL = 9
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CALLS = "connect bind sendto sendmsg getaddrinfo getnameinfo gethostbyname gethostbyaddr"
_NETWORK = {"os.system", "webbrowser.open", *(f"socket.{call}" for call in _CALLS.split())}
_CALLS = "remove rename mkdir rmdir link symlink truncate chmod chown utime setxattr removexattr"
_CHANGES = {f"os.{call}" for call in _CALLS.split()}  # events whose paths are changed
# architecture -> (its number for seccomp, the system calls that are refused, those that do nothing)
# refused: socket, ptrace, process_vm_writev, io_uring_setup, pidfd_getfd, truncate
# in vain: what Landlock lets pass, and libraries call on their own files: chmod, fchmod, fchmodat,
# fchmodat2, chown, fchown, lchown, fchownat, utime, utimes, futimesat, utimensat, setxattr,
# lsetxattr, fsetxattr, setxattrat, removexattr, lremovexattr, fremovexattr, removexattrat
_CALLS_OF = {
    "x86_64": (
        0xC000003E,
        (41, 101, 311, 425, 438, 76),
        (
            *(90, 91, 268, 452, 92, 93, 94, 260, 132, 235, 261, 280),
            *(188, 189, 190, 463, 197, 198, 199, 466),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 117, 271, 425, 438, 45),
        (52, 53, 452, 54, 55, 88, 5, 6, 7, 463, 14, 15, 16, 466),
    ),
}
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000  # the latter with the error, none for one of no effect
_EACCES = 13
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # the same on every machine
_WRITE_FILE, _TRUNCATE = 1 << 1, 1 << 14
_REMOVE_AND_MAKE = sum(1 << bit for bit in range(4, 13))


def enter(folder: str, *, parent: int, memory: int) -> None:
    """Confine this process for good: it writes below `folder` only and reaches no network.

    It dies with `parent` (its process id), leaves no core dump, and gets no more than `memory`
    bytes of data. Call it before a second thread is started.
    """
    _limit(memory)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it was gone before this could be asked for
            os._exit(1)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        with contextlib.suppress(OSError, AttributeError):
            _restrict_writes(libc, folder)
        _refuse_calls(libc)
    sys.addaudithook(_Watch(os.path.realpath(folder)))


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {resource.RLIMIT_CORE: 0, resource.RLIMIT_FSIZE: 2_000_000_000}
    if sys.platform == "linux":  # counts what is written to, not what is only reserved
        limits[resource.RLIMIT_DATA] = memory
    for name, most in limits.items():
        with contextlib.suppress(ValueError, OSError):
            hard = resource.getrlimit(name)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(name, (most, most))


def _restrict_writes(libc: Any, folder: str) -> None:
    """Landlock: files are made, changed and removed below `folder`, and /dev/null is written."""
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)
    change = _WRITE_FILE | (_TRUNCATE if version >= 3 else 0)
    writes = change | _REMOVE_AND_MAKE
    attributes = ctypes.create_string_buffer(struct.pack("=Q", writes), 8)
    rules = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(8), 0)
    if rules < 0:
        return
    try:
        for path, rights in ((folder, writes), ("/dev/null", change)):
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = ctypes.create_string_buffer(struct.pack("=Qi", rights, place), 12)
                if libc.syscall(_LANDLOCK_ADD, rules, 1, rule, 0):
                    return
            finally:
                os.close(place)
        libc.syscall(_LANDLOCK_RESTRICT, rules, 0)
    finally:
        os.close(rules)


def _refuse_calls(libc: Any) -> None:
    """seccomp: the refused system calls fail with EACCES; so do all of another architecture."""
    if platform.machine() not in _CALLS_OF or sys.maxsize < 2**32:
        return
    architecture, refused, vain = _CALLS_OF[platform.machine()]
    load, jump_equal, jump_from, end = 0x20, 0x15, 0x35, 0x06
    checks = len(refused) + len(vain)
    refuse, ignore = checks + 5, checks + 6  # the last two instructions

    def unless(test: int, value: int, target: int, at: int) -> tuple[int, int, int, int]:
        return test, target - at - 1, 0, value

    program = [
        (load, 0, 0, 4),  # architecture
        (jump_equal, 0, refuse - 2, architecture),
        (load, 0, 0, 0),  # number of the system call
        unless(jump_from, 0x40000000, refuse, 3),  # those of x32
        *(unless(jump_equal, call, refuse, at) for at, call in enumerate(refused, 4)),
        *(unless(jump_equal, call, ignore, at) for at, call in enumerate(vain, 4 + len(refused))),
        (end, 0, 0, _ALLOW),
        (end, 0, 0, _FAIL | _EACCES),
        (end, 0, 0, _FAIL),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in program))
    header = ctypes.create_string_buffer(
        struct.pack("@HP", len(program), ctypes.addressof(code)), struct.calcsize("@HP")
    )
    libc.prctl(_PR_SET_SECCOMP, 2, header, 0, 0)


class _Watch:
    """Audit hook: raises PermissionError where Python code wants what is not allowed."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES and not isinstance(path, int):
                self._check(path)
        elif event in _NETWORK:
            raise PermissionError(f"{event}: a parser reaches no network")
        elif event in _CHANGES:
            for path in _paths(arguments):
                self._check(path)

    def _check(self, path: Any) -> None:
        place = os.path.realpath(os.fsdecode(path))
        if place != os.devnull and not f"{place}{os.sep}".startswith(self._folder + os.sep):
            raise PermissionError(f"{place}: a parser writes in its own folder only")


def _paths(arguments: tuple[Any, ...]) -> Iterator[str]:
    """The paths among the arguments of an event, relative to the folder's descriptor if given."""
    descriptors = [value for value in arguments if isinstance(value, int) and value > 2]
    for value in arguments:
        if not isinstance(value, str | bytes | os.PathLike):
            continue
        path = os.fsdecode(value)
        if descriptors and not os.path.isabs(path):
            with contextlib.suppress(OSError):
                path = os.path.join(os.readlink(f"/proc/self/fd/{descriptors[-1]}"), path)
        yield path
