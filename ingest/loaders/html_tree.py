"""Which parts of an HTML page are content, told by tag, role, class and style."""

from __future__ import annotations

import re

from selectolax.lexbor import LexborNode

_NEVER = (
    "script style noscript template svg annotation annotation-xml head iframe object embed canvas"
    " video audio map select option datalist button input textarea progress meter rt rp"
    " link meta base source track dialog -comment !doctype"
)
NEVER = frozenset(_NEVER.split())
_FURNITURE = frozenset({"nav", "footer", "aside", "menu"})
_ROLES = frozenset(
    {"navigation", "search", "contentinfo", "dialog", "alertdialog", "menu", "menubar", "toolbar"}
)
_CONTENT = frozenset({"article", "main", "section"})
_HIDDEN_STYLE = re.compile(
    r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]))", re.I
)
_BANNER = re.compile(
    r"(?:^|[\s_-])(?:cookies?|gdpr|consent)(?:law)?[\s_-]*(?:banner|notice|bar|popup|pop-up|modal|"
    r"dialog|overlay|message|consent|info|policy-banner|disclaimer|wrapper|container|$)"
    r"|onetrust|cookiebot|cc-window|skip-(?:link|to|nav)|visually-hidden-focusable"
    r"|mw-jump-link|vector-(?:dropdown|menu)|(?:^|\s)navbox|catlinks|printfooter",
    re.I,
)
_NOTE = re.compile(r"note|tip|warning|caution|important|admonition|callout|hint|danger|info", re.I)
_NOTE_KINDS = frozenset(  # of role and of epub:type
    {"note", "footnote", "endnote", "rearnote", "doc-footnote", "doc-endnote", "doc-tip"}
)
_PERMALINK = re.compile(r"headerlink|anchor|permalink|hash-link|mw-editsection", re.I)
_HEADING = re.compile(r"h[1-6]\Z")


def is_left_out(node: LexborNode, tag: str, *, furniture: bool) -> bool:
    """True where `node` and all below it is no content.

    `furniture=True` keeps navigation, footers and the like: some pages have nothing else.
    """
    if tag in NEVER:
        return True
    if tag == "header" and not furniture:
        return not _holds_title(node)
    if tag in _FURNITURE and not furniture:
        return tag != "aside" or not _is_note(node)
    attributes = node.attributes
    return bool(attributes) and _hidden_by(attributes, node, tag, furniture)


def _hidden_by(
    attributes: dict[str, str | None], node: LexborNode, tag: str, furniture: bool
) -> bool:
    if "hidden" in attributes and attributes["hidden"] != "until-found":
        return True
    style = attributes.get("style")
    if style and _HIDDEN_STYLE.search(style):
        return True
    if attributes.get("aria-hidden") == "true" and tag in ("span", "i", "a", "b"):
        return True
    names = f"{attributes.get('id') or ''} {attributes.get('class') or ''}"
    if tag in ("a", "span") and _PERMALINK.search(names):
        return len(node.text(strip=True)) <= 1 or "editsection" in names
    if furniture or tag in ("html", "body", "main", "article") or _HEADING.match(tag):
        return False
    return (attributes.get("role") or "") in _ROLES or bool(_BANNER.search(names))


def _holds_title(header: LexborNode) -> bool:
    """A page's header stays for its h1, an article's for any heading."""
    if header.css_first("h1") is not None:
        return True
    parent = header.parent
    inside = parent is not None and parent.tag in _CONTENT
    return inside and header.css_first("h2, h3, h4, h5, h6") is not None


def _is_note(aside: LexborNode) -> bool:
    """Documentation sites put their notes and warnings into <aside>, books their footnotes."""
    attributes = aside.attributes
    kinds = f"{attributes.get('epub:type') or ''} {attributes.get('role') or ''}".lower().split()
    return bool(_NOTE.search(attributes.get("class") or "")) or not _NOTE_KINDS.isdisjoint(kinds)
