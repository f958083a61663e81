"""Any LlamaIndex reader (or whatever has `load_data`) by its name: hundreds of sources."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

from ingest.errors import BadRequest, KbqaError, LoadError, NotConfigured


def read_with(spec: str, arguments: Mapping[str, Any]) -> Iterable[Any]:
    """What the reader `package.module:Class` loads, in its own documents.

    Arguments that its constructor names go there, all others to `load_data`. Raises BadRequest
    (no such class, wrong arguments), NotConfigured (its package is missing), LoadError (it failed).
    """
    reader_class = _class(spec)
    taken = _named(reader_class)
    first = {name: value for name, value in arguments.items() if name in taken}
    then = {name: value for name, value in arguments.items() if name not in taken}
    reader = _called(spec, reader_class, first)
    load = getattr(reader, "load_data", None)
    if load is None:
        raise BadRequest(f"{spec} has no load_data: is it a LlamaIndex reader?")
    loaded: Iterable[Any] = _called(spec, load, then)
    return loaded


def name_of(spec: str) -> str:
    """The class of `package.module:Class`, by which its documents are known."""
    return spec.partition(":")[2] or spec


def parsed(options: Iterable[str]) -> dict[str, Any]:
    """`key=value` options as arguments: values in JSON, or else as text; a key again: a list."""
    arguments: dict[str, Any] = {}
    for option in options:
        name, equals, text = option.partition("=")
        if not name or not equals:
            raise BadRequest(f"--reader-arg {option}: write KEY=VALUE, for example input_dir=docs")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if name in arguments:
            before = arguments[name] if isinstance(arguments[name], list) else [arguments[name]]
            value = [*before, value]
        arguments[name] = value
    return arguments


def _class(spec: str) -> Callable[..., Any]:
    module, colon, name = spec.partition(":")
    if not (module and colon and name):
        raise BadRequest(
            f"--reader {spec}: write package.module:Class, for example "
            "llama_index.core:SimpleDirectoryReader"
        )
    try:
        found = import_module(module)
    except ImportError as exc:
        package = module.replace("_", "-").replace(".", "-")
        raise NotConfigured(
            f"--reader {spec}: {exc}; install its package, for LlamaIndex usually "
            f"`pip install {package}`"
        ) from exc
    try:
        reader: Callable[..., Any] = getattr(found, name)
    except AttributeError as exc:
        raise BadRequest(f"--reader {spec}: {module} has no {name}") from exc
    return reader


def _named(function: Callable[..., Any]) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a class written in C
        return set()
    fields = getattr(function, "model_fields", {})  # readers are pydantic models, many of them
    return {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} | set(fields)


def _called(spec: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    try:
        return function(**arguments)
    except KbqaError:
        raise
    except Exception as exc:  # the seam to code of others: whatever it raises is about this reader
        reason = " ".join(str(exc).split())[:300] or type(exc).__name__
        if isinstance(exc, TypeError) and "argument" in reason:
            raise BadRequest(f"--reader {spec}: {reason}; see --reader-arg") from exc
        if isinstance(exc, ImportError):
            raise NotConfigured(f"--reader {spec}: {reason}") from exc
        raise LoadError(spec, f"the reader failed: {reason}") from exc
