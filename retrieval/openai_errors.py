"""What an OpenAI-compatible service does wrong, as errors of kbqa with one clear line each.

401, 402, 403                           -> NotAuthorised, names the variable of the key
404, 400 and the other 4xx              -> BadRequest, with the server's words
408, 504, no answer in time             -> TimedOut
429                                     -> RateLimited
5xx, nothing there, cut, not that API   -> Unreachable

A key occurs in no message, and is taken out of the foreign errors that stay as `__cause__`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx2
import openai

from ingest.errors import (
    BadRequest,
    KbqaError,
    NotAuthorised,
    NotConfigured,
    RateLimited,
    TimedOut,
    Unreachable,
)

NO_KEY = "none"  # what a server without keys is sent: the SDK insists on one
# by name: LangChain's packages may use httpx, whose errors are not those of httpx2
CUT = {"ReadError", "WriteError", "RemoteProtocolError"}
WORDS = 200  # characters of a server's own message that are worth a reader's time


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service as its errors speak of it. `name` is the spec the user wrote.

    `key_variable` is the environment variable of the key ("" if none is known), `hint` what to try
    when nothing answers, `key_hint` what else to try when the key is refused, `timeout` seconds.
    """

    name: str
    base_url: str
    api_key: str = field(default=NO_KEY, repr=False)
    key_variable: str = ""
    hint: str = ""
    key_hint: str = ""
    timeout: float = 60.0

    @property
    def label(self) -> str:
        """`name at scheme://host:port/path`: without user, password and query of the URL."""
        url = urlsplit(self.base_url)
        place = f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}" if url.netloc else ""
        return f"{self.name} at {place}" if place else self.name

    @property
    def key_name(self) -> str:
        """What to call the key in a message."""
        return self.key_variable or "the API key"


@contextmanager
def clear_errors(endpoint: Endpoint) -> Iterator[None]:
    """Turn what the SDK raises inside into errors of kbqa. Only calls of the SDK belong inside."""
    try:
        yield
    except (openai.OpenAIError, httpx2.HTTPError, ValueError, RecursionError) as exc:
        raise mapped(exc, endpoint) from exc


def mapped(exc: Exception, endpoint: Endpoint) -> KbqaError:
    """The error of kbqa for one of the SDK; what is none of these is a reply that cannot be
    parsed."""
    _forget_key(exc, endpoint)
    match exc:
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return timed_out(endpoint)
        case openai.APIConnectionError() | httpx2.HTTPError():
            return _unreachable(exc, endpoint)
        case openai.APIStatusError():
            headers = exc.response.headers
            return status_error(exc.status_code, _words(exc.body), endpoint, headers=headers)
        case openai.APIError():  # an error event in the middle of a stream
            code = int(exc.code) if exc.code and exc.code.isdecimal() else 500
            return status_error(code, _words(exc.body) or exc.message, endpoint)
        case _:
            return malformed(endpoint)


def status_error(
    status: int, words: str, endpoint: Endpoint, *, headers: Mapping[str, str] | None = None
) -> KbqaError:
    """The error for an HTTP status; `words` is what the server said about it, or ""."""
    headers = headers or {}
    said = one_line(words, endpoint)
    reason = f"{status}: {said}" if said else str(status)
    label = endpoint.label
    if status in (401, 403):
        advice = f"; {endpoint.key_hint}" if endpoint.key_hint else ""
        return NotAuthorised(
            f"{label} refused the key ({status}): check {endpoint.key_name}{advice}"
        )
    if status == 402:
        return NotAuthorised(f"{label} wants to be paid first ({reason})")
    if status == 404:
        return BadRequest(f"{label} has no such model ({reason}): check its name and the base URL")
    if status in (408, 504):
        return timed_out(endpoint)
    if status == 429:
        return RateLimited(
            f"{label} asks to slow down ({reason}): wait, or use another model",
            retry_after=retry_after(headers),
        )
    if status >= 500:
        return Unreachable(
            f"{label} failed ({reason}): ask again later, or use another model",
            transient=headers.get("x-should-retry") != "false",
            retry_after=retry_after(headers),
        )
    return BadRequest(f"{label} rejected the request ({reason})")


def timed_out(endpoint: Endpoint) -> TimedOut:
    """The error for an answer that did not come, or did not end, in time."""
    limit = f"time-out {endpoint.timeout:g} s"
    return TimedOut(f"{endpoint.label} did not answer in time ({limit}): raise it, or ask again")


def cut(endpoint: Endpoint) -> Unreachable:
    """The error for an answer that ends before its end."""
    return Unreachable(
        f"{endpoint.label} closed the connection in the middle of the answer", transient=True
    )


def malformed(endpoint: Endpoint) -> Unreachable:
    """The error for a reply that is not what this API replies."""
    return Unreachable(
        f"{endpoint.label} does not speak the OpenAI API (its reply cannot be read): "
        "check the base URL, it often ends in /v1"
    )


def one_line(words: str, endpoint: Endpoint) -> str:
    """`words` without the key, line breaks and control characters, at most `WORDS` characters."""
    line = " ".join("".join(c if c.isprintable() else " " for c in words).split())
    line = without_key(line, endpoint)
    return line if len(line) <= WORDS else f"{line[: WORDS - 1]}…"


def without_key(text: str, endpoint: Endpoint) -> str:
    """`text` with `***` where the key stood."""
    secret = endpoint.api_key
    return text.replace(secret, "***") if secret and secret != NO_KEY else text


def check(endpoint: Endpoint) -> None:
    """Raise BadRequest for a base URL, NotConfigured for a key, that cannot be sent."""
    try:
        url = urlsplit(endpoint.base_url)
        usable = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise BadRequest(
            f"base URL '{endpoint.base_url.rpartition('@')[2]}' of {endpoint.name} is no address: "
            "write it like http://localhost:8000/v1"
        )
    if not (endpoint.api_key.isascii() and endpoint.api_key.isprintable()):
        raise NotConfigured(
            f"{endpoint.key_name} of {endpoint.name} holds what no key holds: copy it again"
        )


def _unreachable(exc: Exception, endpoint: Endpoint) -> Unreachable:
    causes = list(_chain(exc))
    if any(type(cause).__name__ in CUT for cause in causes):
        return cut(endpoint)
    advice = endpoint.hint or "check the base URL and the network"
    reason = one_line(str(causes[-1]), endpoint)
    return Unreachable(f"nothing answers for {endpoint.label} ({reason}): {advice}", transient=True)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait; None when it does not say, or says it unreadably."""
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _words(body: object) -> str:
    """What a server says in the body of an error: OpenAI's `message`, FastAPI's `detail`, text."""
    words: Any = body
    if isinstance(body, dict):
        words = next((body[k] for k in ("message", "detail", "error", "msg") if body.get(k)), body)
    text = str(words or "").strip()
    return "" if text.startswith("<") else text  # a gateway's HTML page


def _forget_key(exc: BaseException, endpoint: Endpoint) -> None:
    """Servers echo keys: take ours out of what a traceback of `exc` would print."""
    for link in _chain(exc):
        link.args = tuple(
            without_key(arg, endpoint) if isinstance(arg, str) else arg for arg in link.args
        )
        if isinstance(link, openai.APIError):
            link.message = without_key(link.message, endpoint)


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """`exc` and what caused it, outermost first."""
    link: BaseException | None = exc
    while link is not None:
        yield link
        link = link.__cause__ or link.__context__
