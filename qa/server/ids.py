"""Ids of documents: their uri in letters that a path can hold. The same uri always has the same.

A uri holds slashes, spaces and any letter; proxies decode and normalise such paths, each its own
way.
"""

from __future__ import annotations

import base64
import binascii

from qa.server.problems import NotFound


def id_of(uri: str) -> str:
    """The id of a uri."""
    return base64.urlsafe_b64encode(uri.encode("utf-8", "surrogatepass")).rstrip(b"=").decode()


def uri_of(id_: str) -> str:
    """The uri of an id. Raises NotFound for what is none."""
    try:
        return base64.b64decode(id_ + "=" * (-len(id_) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError) as exc:
        raise NotFound(f"there is no document '{id_}'") from exc
