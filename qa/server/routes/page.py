"""`/`: the page for people. Its files are part of the package; it asks nothing of other hosts."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from types import MappingProxyType

from fastapi import APIRouter, Response

from qa.server.problems import NotFound

router = APIRouter(include_in_schema=False)

MEDIA_TYPES = MappingProxyType(
    {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg+xml"}
)
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/")
def show_page() -> Response:
    """The page."""
    return _reply("index.html")


@router.get("/page/{name}")
def get_page_file(name: str) -> Response:
    """What it is made of. Raises NotFound."""
    if name not in _files():
        raise NotFound(f"the page has no file '{name}'")
    return _reply(name)


def _reply(name: str) -> Response:
    media_type = f"{MEDIA_TYPES[name.rpartition('.')[2]]}; charset=utf-8"
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return Response(_files()[name], media_type=media_type, headers=headers)


@cache
def _files() -> dict[str, bytes]:
    folder = files("qa.server") / "page"
    return {entry.name: entry.read_bytes() for entry in folder.iterdir() if entry.is_file()}
