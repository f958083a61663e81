"""Plugins that are not kbqa's: from a package's entry point, from a file, or as an object.

Each is a function `(turn, call_next) -> turn`, or a function that makes one from the `Parts` of the
base, marked with `@WithParts`. Nothing is imported before it is named in the chain.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from ingest.errors import BadRequest, KbqaError
from qa.parts import Parts, WithParts
from qa.settings import config_file
from qa.turn import Handler, Plugin, Turn

GROUP = "kbqa.plugins"
_KINDS = {  # of the parts of a turn that are told from one of another kind at a glance
    field.name: (str,) if field.default == "" else (tuple, list)
    for field in fields(Turn)
    if field.default in ("", ())
}
_OF_OTHERS: dict[Callable[[Any], bool], str] = {
    inspect.iscoroutinefunction: "async",
    inspect.isasyncgenfunction: "async",
    inspect.isgeneratorfunction: "a generator",
}


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that somebody else wrote, and where it was found."""

    name: str
    source: str
    description: str
    make: Callable[[Parts], Plugin]


def brought() -> list[Found]:
    """The plugins of installed packages, by name; they are imported when they are made."""
    points = entry_points(group=GROUP)
    return sorted(map(_of_point, points), key=lambda found: (found.name, found.source))


def is_file_spec(spec: str) -> bool:
    """Whether `spec` is of the form `FILE.py:NAME`."""
    return spec.rpartition(":")[0].endswith(".py")


def from_file(spec: str) -> Found:
    """The plugin `FILE.py:NAME`; a relative path begins at the folder of `kbqa.toml`."""
    path, _, name = spec.rpartition(":")
    file = (config_file().parent / Path(path).expanduser()).resolve()
    if not file.is_file():
        raise BadRequest(f"plugin '{spec}': there is no file {file}")
    module = _imported(spec, file)
    if not hasattr(module, name):
        names = [key for key, value in vars(module).items() if _is_defined_in(module, value)]
        there = f"; it has {', '.join(sorted(names))}" if names else ""
        raise BadRequest(f"plugin '{spec}': {file.name} has no '{name}'{there}")
    return _found(name, str(file), getattr(module, name), spec)


def of_object(plugin: Plugin | WithParts) -> Found:
    """A plugin that was given as it is."""
    function = plugin.make if isinstance(plugin, WithParts) else plugin
    name = getattr(function, "__name__", type(function).__name__)
    module = getattr(function, "__module__", None) or type(function).__module__
    return _found(name, f"{module}.{name}", plugin, name)


def _of_point(point: EntryPoint) -> Found:
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    source = f"entry point of {package}"

    def make(parts: Parts) -> Plugin:
        try:
            loaded = point.load()
        except (Exception, SystemExit) as exc:
            raise BadRequest(
                f"plugin '{point.name}' ({source}): {point.value} cannot be imported: {_told(exc)}"
            ) from exc
        return _found(point.name, source, loaded, f"{point.name}' of '{package}").make(parts)

    return Found(point.name, source, f"{point.value}", make)


def _found(name: str, source: str, plugin: Any, spec: str) -> Found:
    factory = isinstance(plugin, WithParts)
    function = plugin.make if factory else plugin
    _require_parameters(function, 1 if factory else 2, spec)
    description = (inspect.getdoc(function) or "").partition("\n")[0]

    def make(parts: Parts) -> Plugin:
        return _guarded(_made(plugin, parts, spec) if factory else plugin, spec)

    return Found(name, source, description, make)


def _guarded(plugin: Plugin, spec: str) -> Plugin:
    """The plugin, whose own faults are told by its name; what it calls tells its own."""

    @functools.wraps(plugin, updated=())
    def guarded(turn: Turn, call_next: Handler) -> Turn:
        passed_on: list[Exception] = []

        def watched(turn: Turn) -> Turn:
            _require_turn(turn, spec)
            try:
                return call_next(turn)
            except Exception as exc:
                passed_on.append(exc)
                raise

        try:
            answered = plugin(turn, watched)
        except KbqaError:
            raise
        except Exception as exc:
            if exc in passed_on:
                raise
            raise KbqaError(f"plugin '{spec}' failed: {_told(exc)} ({_place_of(exc)})") from exc
        if isinstance(answered, Turn):  # what is none is told by `qa.chain`
            _require_turn(answered, spec)
        return answered

    return guarded


def _require_turn(turn: object, spec: str) -> None:
    """Raises BadRequest for what is no turn, and for one whose parts are of another kind."""
    if not isinstance(turn, Turn):
        kind = type(turn).__name__
        raise BadRequest(f"plugin '{spec}' called what is next with a {kind}, not with the turn")
    for name, wanted in _KINDS.items():
        if not isinstance(value := getattr(turn, name), wanted):
            raise BadRequest(
                f"plugin '{spec}' made '{name}' of the turn a {type(value).__name__}, not a "
                f"{wanted[0].__name__}"
            )


def _place_of(exc: Exception) -> str:
    """The file and line that raised it."""
    *_, last = traceback.extract_tb(exc.__traceback__)
    return f"{Path(last.filename).name}, line {last.lineno}"


def _made(factory: WithParts, parts: Parts, spec: str) -> Plugin:
    try:
        plugin = factory.make(parts)
    except KbqaError:
        raise
    except Exception as exc:
        raise BadRequest(f"plugin '{spec}' could not be made: {_told(exc)}") from exc
    _require_parameters(plugin, 2, spec)
    return plugin


def _require_parameters(function: Any, count: int, spec: str) -> None:
    """Raises BadRequest for what cannot be called with so many arguments."""
    wanted = "(turn, call_next)" if count == 2 else "(parts)"
    if not callable(function):
        raise BadRequest(f"plugin '{spec}' is a {type(function).__name__}, not a function {wanted}")
    called = function if inspect.isroutine(function) else type(function).__call__
    for is_it, kind in _OF_OTHERS.items():
        if is_it(called):
            raise BadRequest(f"plugin '{spec}' is {kind}: a plugin is a plain function {wanted}")
    try:
        inspect.signature(function).bind(*[None] * count)
    except ValueError:  # a function of C tells no signature
        return
    except TypeError as exc:
        raise BadRequest(
            f"plugin '{spec}' does not take {wanted}: a plugin is a function (turn, call_next); "
            "a function (parts) that makes one is marked with @WithParts"
        ) from exc


def _imported(spec: str, file: Path) -> ModuleType:
    name = f"kbqa_plugin_{file.stem}_{hashlib.sha256(bytes(file)).hexdigest()[:8]}"
    found = spec_from_file_location(name, file)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as exc:  # a script without a guard ends
        del sys.modules[name]
        raise BadRequest(f"plugin '{spec}': {file.name} cannot be imported: {_told(exc)}") from exc
    return module


def _is_defined_in(module: ModuleType, value: Any) -> bool:
    function = value.make if isinstance(value, WithParts) else value
    return callable(function) and getattr(function, "__module__", "") == module.__name__


def _told(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {' '.join(str(exc).split())}"
