"""``python -m tests.structure``: the rooms of the house, their sizes, and imports that point the wrong way."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "src" / "frostline"

ROOMS = (
    "study",
    "data",
    "models",
    "plan",
    "features",
    "training",
    "artifacts",
    "ledger",
    "machine",
    "execution",
    "report",
    "cli",
)
"""In the order in which data flows, and so do imports; what lies beside them is for all, the facade for users."""

LARGEST = 250
"""Lines after which a file has probably outgrown its room."""


def modules() -> dict[str, Path]:
    """Return every module's file by its name."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: set[str], *, typing: bool) -> set[str]:
    """Return which modules of Frostline a file imports when it is imported itself; ``typing`` counts all others too."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()

    def visit(node: ast.AST, top: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                visit(child, typing)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test) and not typing:
                continue
            elif isinstance(child, ast.ImportFrom) and child.module and top:
                names = [f"{child.module}.{alias.name}" for alias in child.names]
                found.update(name if name in known else child.module for name in names)
            elif isinstance(child, ast.Import) and top:
                found.update(alias.name for alias in child.names)
            else:
                visit(child, top)

    visit(tree, True)
    return found & known


def room_of(module: str) -> str | None:
    """Return the room a module is in; None for what lies beside the rooms."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in ROOMS else None


def wrong_ways() -> list[str]:
    """Return imports of a later room by an earlier one, types included, and of a room by what is for all rooms."""
    known = modules()
    wrong = []
    for name, path in known.items():
        room = room_of(name)
        for imported in sorted(imports_of(path, set(known), typing=True)):
            other = room_of(imported)
            if other is None or other == room:
                continue
            if room is not None and ROOMS.index(other) > ROOMS.index(room):
                wrong.append(f"{name} imports {imported}")
    return wrong


def cycles() -> list[list[str]]:
    """Return modules that import each other, directly or not, when they are imported."""
    known = modules()
    graph = {name: imports_of(path, set(known), typing=False) - {name} for name, path in known.items()}
    # A package's own facade is imported with every module of it; that isn't what one of them asks for.
    for name in graph:
        graph[name] -= {".".join(name.split(".")[:depth]) for depth in range(1, name.count(".") + 1)}
    found, index, low, stack = [], dict[str, int](), dict[str, int](), list[str]()

    def connect(name: str) -> None:  # Tarjan 1972
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in graph[name]:
            if other not in index:
                connect(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            start = stack.index(name)
            component = stack[start:]
            del stack[start:]
            if len(component) > 1:
                found.append(sorted(component))

    for name in graph:
        if name not in index:
            connect(name)
    return found


def main() -> None:
    """Print the house."""
    sizes: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for name, path in modules().items():
        sizes[room_of(name) or "beside the rooms"].append((len(path.read_text().splitlines()), name))
    print(f"{'room':<18}{'files':>6}{'lines':>8}   largest")
    for room in (*ROOMS, "beside the rooms"):
        lines, largest = max(sizes[room])
        print(f"{room:<18}{len(sizes[room]):>6}{sum(n for n, _ in sizes[room]):>8,}   {largest} ({lines})")
    large = sorted((n, name) for of_room in sizes.values() for n, name in of_room if n > LARGEST)
    print(f"files above {LARGEST} lines: {', '.join(f'{name} ({n})' for n, name in large) or 'none'}")
    print("imports that point the wrong way:", "; ".join(wrong_ways()) or "none")
    print("import cycles:", "; ".join(" <-> ".join(cycle) for cycle in cycles()) or "none")


if __name__ == "__main__":
    main()
