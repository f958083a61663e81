"""Small office files for the tests: OpenDocument, EPUB and compound files by hand."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Collection, Mapping

import openpyxl  # type: ignore[import-untyped]

SECTOR = 512
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:"
NAMESPACES = " ".join(
    f'xmlns:{name}="{OFFICE}{name}:1.0"'
    for name in ("office", "text", "table", "presentation", "style")
)
DRAWING = f'xmlns:draw="{OFFICE}drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink"'


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def open_document(kind: str, body: str, *, styles: str = "", manifest: str = "") -> bytes:
    """`kind` is text, presentation or spreadsheet; `body` stands inside office:KIND."""
    content = (
        f"<office:document-content {NAMESPACES} {DRAWING}><office:automatic-styles>"
        '<style:style style:name="off"><style:table-properties table:display="false"/>'
        "</style:style></office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body>"
        "</office:document-content>"
    )
    parts = {"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": content}
    if styles:
        parts["styles.xml"] = (
            f"<office:document-styles {NAMESPACES}>{styles}</office:document-styles>"
        )
    return zipped(parts | ({"META-INF/manifest.xml": manifest} if manifest else {}))


def price_list() -> bytes:
    """A workbook of two rows."""
    workbook = openpyxl.Workbook()
    workbook.active.append(["Part", "Price"])
    workbook.active.append(["Seal", 12])
    buffer = io.BytesIO()
    workbook.save(buffer)
    return buffer.getvalue()


def book(chapters: Mapping[str, str], *, title: str = "") -> bytes:
    """An EPUB of these XHTML bodies by file name."""
    items = "".join(
        f'<item id="c{n}" href="{name}" media-type="application/xhtml+xml"/>'
        for n, name in enumerate(chapters)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in range(len(chapters)))
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></metadata>'
        f"<manifest>{items}</manifest><spine>{spine}</spine></package>"
    )
    rootfile = '<rootfile full-path="OEBPS/book.opf"/>'
    pages = {
        f"OEBPS/{name}": f"<html><head><title/></head><body>{body}</body></html>"
        for name, body in chapters.items()
    }
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f"<container><rootfiles>{rootfile}</rootfiles></container>",
            "OEBPS/book.opf": package,
            **pages,
        }
    )


def compound(streams: Mapping[str, bytes]) -> bytes:
    """A compound file of these streams by path; each is padded with zeros to 4,096 bytes."""
    names, children = tree(streams)
    places: dict[str, tuple[int, int]] = {}
    chains: list[list[int]] = []
    data = b""
    for name, content in streams.items():
        padded = content.ljust(4096, b"\0")
        padded += bytes(-len(padded) % SECTOR)
        first = len(data) // SECTOR
        places[name] = (first, len(padded))
        chains.append(list(range(first, first + len(padded) // SECTOR)))
        data += padded
    directory = b"".join(entry(name, names, children, places) for name in names)
    directory += bytes(-len(directory) % SECTOR)
    first = len(data) // SECTOR
    chains.append(list(range(first, first + len(directory) // SECTOR)))
    data += directory
    sectors = len(data) // SECTOR
    count = -(-(sectors + 1) // (SECTOR // 4 - 1))
    table = [0xFFFFFFFF] * (count * SECTOR // 4)
    for chain in chains:
        for here, following in zip(chain, [*chain[1:], 0xFFFFFFFE], strict=True):
            table[here] = following
    for number in range(count):
        table[sectors + number] = 0xFFFFFFFD
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6,
        0, count, first, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0,
    )  # fmt: skip
    fats = [*(sectors + number for number in range(count)), *[0xFFFFFFFF] * (109 - count)]
    return header + struct.pack("<109I", *fats) + data + struct.pack(f"<{len(table)}I", *table)


def tree(streams: Mapping[str, bytes]) -> tuple[list[str], dict[str, list[str]]]:
    """All storages and streams ("" is the root), and the children of each storage."""
    names, children = [""], dict[str, list[str]]()
    for path in streams:
        parts = path.split("/")
        for depth in range(1, len(parts) + 1):
            name, parent = "/".join(parts[:depth]), "/".join(parts[: depth - 1])
            if name not in names:
                names.append(name)
                children.setdefault(parent, []).append(name)
    return names, children


def entry(
    name: str,
    names: list[str],
    children: Mapping[str, list[str]],
    places: Mapping[str, tuple[int, int]],
) -> bytes:
    """A directory entry; siblings hang on each other's right."""
    none = 0xFFFFFFFF
    shown = name.rpartition("/")[2] if name else "Root Entry"
    raw = shown.encode("utf-16-le") + b"\0\0"
    kind = 5 if not name else 2 if name in places else 1
    below = children.get(name, [])
    siblings = children.get(name.rpartition("/")[0], []) if name else []
    later = siblings[siblings.index(name) + 1 :] if name else []
    first, size = places.get(name, (0xFFFFFFFE, 0))
    return struct.pack(
        "<64sHBBIII16xI16xIQ", raw, len(raw), kind, 1, none,
        names.index(later[0]) if later else none, names.index(below[0]) if below else none,
        0, first, size,
    )  # fmt: skip


def outlook(
    texts: Mapping[str, str], attachments: Mapping[str, bytes], *, shown: Collection[str] = ()
) -> bytes:
    """An Outlook message with these properties by tag; its HTML shows the attachments `shown`."""
    streams = {"__properties_version1.0": b"\0" * 32}
    streams |= {f"__substg1.0_{tag}001F": text.encode("utf-16-le") for tag, text in texts.items()}
    for number, (name, content) in enumerate(attachments.items()):
        folder = f"__attach_version1.0_#{number:08X}"
        streams[f"{folder}/__substg1.0_3707001F"] = name.encode("utf-16-le")
        streams[f"{folder}/__substg1.0_37010102"] = content
        if name in shown:
            streams[f"{folder}/__substg1.0_3712001F"] = name.encode("utf-16-le")
    return compound(streams)


def old_word(text: str) -> bytes:
    """A Word 97 document of this text, in one piece of UTF-16; \\r ends paragraphs."""
    raw = text.encode("utf-16-le")
    fib = bytearray(0x800)
    struct.pack_into("<HH", fib, 0, 0xA5EC, 0xC1)
    struct.pack_into("<H", fib, 0x0A, 0x0200)
    struct.pack_into("<I", fib, 0x4C, len(text))
    pieces = struct.pack("<II", 0, len(text)) + struct.pack("<HIH", 0, len(fib), 0)
    clx = b"\x02" + struct.pack("<I", len(pieces)) + pieces
    struct.pack_into("<II", fib, 0x1A2, 0, len(clx))
    return compound({"WordDocument": bytes(fib) + raw, "1Table": clx})


def record(kind: int, body: bytes, *, instance: int = 0, container: bool = False) -> bytes:
    return struct.pack("<HHI", instance << 4 | (15 if container else 0), kind, len(body)) + body


def old_slides(slides: Mapping[str, str]) -> bytes:
    """A PowerPoint 97 presentation: title and text of each slide."""
    outline = b""
    for number, (title, text) in enumerate(slides.items()):
        outline += record(1011, struct.pack("<IIiII", number + 2, 0, 0, 256 + number, 0))
        outline += record(3999, struct.pack("<I", 0)) + record(4000, title.encode("utf-16-le"))
        outline += record(3999, struct.pack("<I", 1)) + record(4000, text.encode("utf-16-le"))
    document = record(1000, record(4080, outline, container=True), container=True)
    directory = len(document)
    document += record(6002, struct.pack("<II", 1 << 20 | 1, 0))
    edit = len(document)
    document += record(4085, struct.pack("<IIIIIII", 0, 0, 0, directory, 1, 0, 0))
    user = record(4086, struct.pack("<III", 20, 0xE391C05F, edit) + bytes(12))
    return compound({"PowerPoint Document": document, "Current User": user})
