"""What lies among images and is none: what systems and editors leave behind, documents and metadata.

One list for all sources; what is on it is ignored and counted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import PurePath

__all__ = ["BROKEN_LINK", "DOCUMENT", "LINK_CYCLE", "Ignored", "describe_ignored", "names_a_document", "why_ignored"]

HIDDEN, BACKUP = "hidden", "editor's backup"
DOCUMENT = "document or metadata file"
BROKEN_LINK, LINK_CYCLE = "broken link", "link to a folder above it"
NAMES = (
    *("Thumbs.db", "Thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),  # Windows
    *("$RECYCLE.BIN", "System Volume Information", "lost+found"),  # the roots of disks
    *("__MACOSX", "Icon\r", "Network Trash Folder"),  # macOS, and archives packed there
    *("@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot"),  # network storage
    *("__pycache__",),
)
BY_FOLDED_NAME = {name.casefold(): name.strip() for name in NAMES}
DOCUMENT_SUFFIXES = frozenset(
    (
        *(
            ".txt",
            ".md",
            ".rst",
            ".rtf",
            ".pdf",
            ".doc",
            ".docx",
            ".odt",
            ".htm",
            ".html",
            ".log",
            ".tex",
            ".bib",
            ".cff",
        ),
        *(".csv", ".tsv", ".xls", ".xlsx", ".ods", ".json", ".jsonl", ".ndjson", ".geojson", ".xml", ".xmp"),
        *(".yaml", ".yml", ".toml", ".ini", ".cfg", ".names", ".sha1", ".sha256", ".sha512", ".md5"),
    )
)
DOCUMENT_NAMES = frozenset(
    {"readme", "license", "licence", "copying", "notice", "authors", "changelog", "md5sums", "sha256sums"}
)
ZONE = ":Zone.Identifier"  # beside each file that Windows downloaded, when copied to Linux
PLURALS = {kind: f"{kind}s" for kind in (BROKEN_LINK, BACKUP, "pipe", "socket", "device")} | {
    LINK_CYCLE: "links to folders above them",
    DOCUMENT: "documents or metadata files",
}


@dataclass
class Ignored:
    """The paths that were ignored, each with its reason; a folder is one of them, whatever is in it."""

    reasons: dict[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many paths were ignored for each reason, the most frequent first."""
        return dict(Counter(self.reasons[path] for path in sorted(self.reasons)).most_common())


def why_ignored(name: str) -> str | None:
    """Return why a file or folder of this name is none of the user's; None where it may be."""
    if name.startswith("."):
        return HIDDEN
    if name.endswith(ZONE):
        return ZONE.strip(":")
    if name.endswith("~") or name.startswith("~$") or (name.startswith("#") and name.endswith("#")):
        return BACKUP
    return BY_FOLDED_NAME.get(name.casefold())


def names_a_document(name: str) -> bool:
    """Tell whether a file's name is that of a document or of metadata, such as ``README.txt`` or ``labels.csv``."""
    suffix = PurePath(name).suffix.lower()
    return suffix in DOCUMENT_SUFFIXES or (not suffix and name.lower() in DOCUMENT_NAMES)


def describe_ignored(counts: dict[str, int], before: str = "") -> str:
    """Return a line of the counts, such as ``ignored: 3 hidden, 2 broken links``, after ``before``; empty for none."""
    if not counts:
        return ""
    named = (f"{n} {PLURALS.get(reason, reason) if n > 1 else reason}" for reason, n in counts.items())
    return f"{before}ignored: {', '.join(named)}"
