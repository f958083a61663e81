"""The media types that kbqa knows, by the suffix their files usually have."""

from __future__ import annotations

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"

DOCX = f"{_OFFICE}.wordprocessingml.document"
PPTX = f"{_OFFICE}.presentationml.presentation"
XLSX = f"{_OFFICE}.spreadsheetml.sheet"
XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
DOC, PPT, XLS = "application/msword", "application/vnd.ms-powerpoint", "application/vnd.ms-excel"
ODT, ODP, ODS = f"{_OPEN}.text", f"{_OPEN}.presentation", f"{_OPEN}.spreadsheet"
FLAT_OPEN, FB2 = f"{_OPEN}.text-flat-xml", "application/x-fictionbook+xml"
VSDX = "application/vnd.ms-visio.drawing.main+xml"
RTF, EPUB, IPYNB = "application/rtf", "application/epub+zip", "application/x-ipynb+json"
EML, MSG, MBOX = "message/rfc822", "application/vnd.ms-outlook", "application/mbox"
MHTML, ICS = "multipart/related", "text/calendar"
MARKDOWN, HTML, PLAIN, PDF = "text/markdown", "text/html", "text/plain", "application/pdf"
RST, ORG, ASCIIDOC, TEX = "text/x-rst", "text/org", "text/asciidoc", "text/x-tex"
CSV, TSV, JSON, JSONL = "text/csv", "text/tab-separated-values", "application/json", "text/jsonl"
YAML, XML, VTT, SRT = "application/yaml", "application/xml", "text/vtt", "application/x-subrip"
ZIP, TAR, GZIP, SEVEN_ZIP = (
    "application/zip",
    "application/x-tar",
    "application/gzip",
    "application/x-7z-compressed",
)
BZIP2, XZ, ZSTD = "application/x-bzip2", "application/x-xz", "application/zstd"
IMAGES = frozenset(
    f"image/{kind}" for kind in ("png", "jpeg", "tiff", "webp", "bmp", "gif", "heic", "avif")
)

# language (as tree-sitter calls it) -> suffixes; the media type is text/x-LANGUAGE
SOURCE_CODE = {
    "python": ".py .pyi",
    "javascript": ".js .mjs .cjs .jsx",
    "typescript": ".ts .mts .cts",
    "tsx": ".tsx",
    "java": ".java",
    "go": ".go",
    "rust": ".rs",
    "c": ".c .h",
    "cpp": ".cc .cpp .cxx .hpp .hh .hxx",
    "csharp": ".cs",
    "ruby": ".rb",
    "php": ".php",
    "bash": ".sh .bash .zsh",
    "sql": ".sql",
    "kotlin": ".kt .kts",
    "scala": ".scala",
    "swift": ".swift",
    "lua": ".lua",
    "css": ".css .scss .less",
    # without a grammar: cut by blank lines and indentation
    "r": ".r",
    "perl": ".pl .pm",
    "dart": ".dart",
    "groovy": ".groovy .gradle",
    "powershell": ".ps1 .psm1",
    "batch": ".bat .cmd",
    "proto": ".proto",
    "graphql": ".graphql",
    "hcl": ".tf .hcl",
    "vue": ".vue",
    "svelte": ".svelte",
}
BY_SUFFIX: dict[str, str] = {
    **dict.fromkeys(
        [".txt", ".text", ".log", ".toml", ".ini", ".cfg", ".conf", ".properties"], PLAIN
    ),
    **dict.fromkeys((".md", ".markdown", ".mdx", ".mkd"), MARKDOWN),
    **dict.fromkeys((".html", ".htm", ".xhtml"), HTML),
    **dict.fromkeys((".adoc", ".asciidoc", ".asc"), ASCIIDOC),
    **dict.fromkeys((".tex", ".latex", ".ltx"), TEX),
    **dict.fromkeys((".yaml", ".yml"), YAML),
    **dict.fromkeys((".jsonl", ".ndjson"), JSONL),
    **dict.fromkeys(
        [
            ".xml",
            ".xsd",
            ".xsl",
            ".rss",
            ".atom",
            ".nxml",
            ".svg",
        ],
        XML,
    ),
    **dict.fromkeys((".docx", ".docm", ".dotx", ".dotm"), DOCX),
    **dict.fromkeys((".pptx", ".pptm", ".ppsx", ".ppsm", ".potx"), PPTX),
    **dict.fromkeys((".xlsx", ".xlsm", ".xltx", ".xltm"), XLSX),
    **dict.fromkeys((".mhtml", ".mht"), MHTML),
    **dict.fromkeys((".jpg", ".jpeg"), "image/jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "image/tiff"),
    **dict.fromkeys((".heic", ".heif"), "image/heic"),
    **dict.fromkeys((".doc", ".dot"), DOC),
    **dict.fromkeys((".ppt", ".pps"), PPT),
    **dict.fromkeys((".xls", ".xlt"), XLS),
    **{f".{kind}": f"image/{kind}" for kind in ("png", "webp", "bmp", "gif", "avif")},
    ".rst": RST,
    ".org": ORG,
    ".csv": CSV,
    ".tsv": TSV,
    ".json": JSON,
    ".vtt": VTT,
    ".srt": SRT,
    ".xlsb": XLSB,
    ".odt": ODT,
    ".odp": ODP,
    ".ods": ODS,
    **dict.fromkeys((".fodt", ".fods", ".fodp"), FLAT_OPEN),
    ".fb2": FB2,
    ".vsdx": VSDX,
    ".rtf": RTF,
    ".epub": EPUB,
    ".ipynb": IPYNB,
    ".eml": EML,
    ".msg": MSG,
    ".mbox": MBOX,
    ".ics": ICS,
    ".pdf": PDF,
    ".zip": ZIP,
    ".tar": TAR,
    ".gz": GZIP,
    ".tgz": GZIP,
    ".7z": SEVEN_ZIP,
    ".bz2": BZIP2,
    ".xz": XZ,
    ".zst": ZSTD,
    **{
        suffix: f"text/x-{language}"
        for language, suffixes in SOURCE_CODE.items()
        for suffix in suffixes.split()
    },
}
