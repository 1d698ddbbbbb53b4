"""What operating systems and editors leave behind among images: one list for all sources, ignored and counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["BROKEN_LINK", "LINK_CYCLE", "Ignored", "describe_ignored", "why_ignored"]

HIDDEN, BACKUP = "hidden", "editor's backup"
BROKEN_LINK, LINK_CYCLE = "broken link", "link to a folder above it"
NAMES = (
    *("Thumbs.db", "Thumbs.db:encryptable", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini"),  # Windows
    *("$RECYCLE.BIN", "System Volume Information", "lost+found"),  # the roots of disks
    *("__MACOSX", "Icon\r", "Network Trash Folder"),  # macOS, and archives packed there
    *("@eaDir", "@tmp", "#recycle", "#snapshot", "@Recycle", "@Recently-Snapshot"),  # network storage
    *("__pycache__",),
)
BY_FOLDED_NAME = {name.casefold(): name.strip() for name in NAMES}
ZONE = ":Zone.Identifier"  # beside each file that Windows downloaded, when copied to Linux
PLURALS = {kind: f"{kind}s" for kind in (BROKEN_LINK, BACKUP, "pipe", "socket", "device")} | {
    LINK_CYCLE: "links to folders above them"
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


def describe_ignored(counts: dict[str, int], before: str = "") -> str:
    """Return a line of the counts, such as ``ignored: 3 hidden, 2 broken links``, after ``before``; empty for none."""
    if not counts:
        return ""
    named = (f"{n} {PLURALS.get(reason, reason) if n > 1 else reason}" for reason, n in counts.items())
    return f"{before}ignored: {', '.join(named)}"
