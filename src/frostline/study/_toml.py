"""Reading TOML: the values, and the line and column of every one of them."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import tree_sitter
import tree_sitter_toml

from frostline.study._problem import KeyPath, Problem, format_key

__all__ = ["DEEPEST", "Document", "Place", "is_too_deep", "parse_toml"]

Place = tuple[int, int]
"""Line and column, from 1, in characters."""

DEEPEST = 12
"""The deepest nesting of tables and lists that is read; studies need six."""

_LONG_KEY = re.compile(r"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){100}""")
_TOMLLIB_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
# The commonest mistakes, in words that say what to do.
_PLAINER = {
    "Invalid value": "invalid value; text needs quotes",
    "Illegal character '\\n'": "a quote is not closed on its line",
    "Unterminated string": "a quote is not closed",
}


@dataclass
class Document:
    """A TOML text: its values, where each value and each key stands, and keys that are given twice."""

    values: dict[str, Any] = field(default_factory=dict)
    value_places: dict[KeyPath, Place] = field(default_factory=dict)
    key_places: dict[KeyPath, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, path: KeyPath, at_key: bool) -> Place | None:
        """Return where a value (or its key) stands, or the nearest table around it that is written out."""
        if at_key and path in self.key_places:
            return self.key_places[path]
        for length in range(len(path), 0, -1):
            if path[:length] in self.value_places:
                return self.value_places[path[:length]]
        return None


def parse_toml(text: str, file: str) -> Document:
    """Return the document of a text; where it isn't TOML, the document has problems and no values."""
    document = Document()
    try:
        # tomllib's time grows with the square of a dotted key's length: a minute for 100 KB of them.
        failure = "A dotted key has too many parts" if _LONG_KEY.search(text) else ""
        document.values = {} if failure else tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        failure = str(error)
    except RecursionError:
        failure = "Tables or lists are nested too deeply"
    except ValueError:  # Python converts no integers of more than 4,300 digits
        failure = "A number has too many digits"
    if not failure and is_too_deep(document.values):
        document.values = {}
        failure = f"Tables or lists are nested more than {DEEPEST} deep"
    walk = _Walk(text, file, document)
    if not failure:
        walk.run()
        document.problems.clear()  # tomllib decides what is valid; the walk only says more about what isn't
    elif re.search("overwrite|twice|[Dd]uplicate", failure):
        walk.run()
    if failure and not document.problems:
        document.problems.append(_syntax_problem(text, file, failure))
    return document


def is_too_deep(value: object) -> bool:
    """Return whether lists and tables are nested more than DEEPEST deep; a loop of references is."""
    level = [value]
    for _ in range(DEEPEST + 1):
        items = (item for value in level if isinstance(value, dict | list) for item in _items(value))
        level = [item for item in items if isinstance(item, dict | list)]
        if not level:
            return False
    return True


def _items(value: dict[Any, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _syntax_problem(text: str, file: str, failure: str) -> Problem:
    match = _TOMLLIB_PLACE.search(failure)
    line: int | None = None
    column: int | None = None
    if match and match[1]:
        line, column = int(match[1]), int(match[2])
    elif match:
        lines = text.split("\n")
        line, column = len(lines), len(lines[-1]) + 1
    reason = _TOMLLIB_PLACE.sub("", failure)
    reason = _PLAINER.get(reason, reason[:1].lower() + reason[1:])
    return Problem(file, line, column, "", f"not valid TOML: {reason}")


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_toml.language()))


class _Walk:
    """One walk through a syntax tree, noting places and keys given twice."""

    def __init__(self, text: str, file: str, document: Document) -> None:
        self.bytes = text.encode()
        self.lines = self.bytes.split(b"\n")
        self.file = file
        self.document = document
        self.lengths: dict[KeyPath, int] = {}

    def run(self) -> None:
        root = _parser().parse(self.bytes).root_node
        if root.has_error:  # a grammar's recovery would give places that mean nothing
            return
        for node in root.named_children:
            if node.type == "pair":
                self._pair(node, ())
            elif node.type == "table":
                self._table(node, self._resolve(self._keys(node.named_children[0])), repeatable=False)
            elif node.type == "table_array_element":
                path = self._resolve(self._keys(node.named_children[0]))
                index = self.lengths.get(path, 0)
                self.lengths[path] = index + 1
                self.document.value_places.setdefault(path, self._place(node))
                self.document.key_places.setdefault(path, self._place(node.named_children[0]))
                self._table(node, (*path, index), repeatable=True)

    def _table(self, node: tree_sitter.Node, path: KeyPath, repeatable: bool) -> None:
        self._note(path, node.named_children[0], node, explicit=not repeatable)
        for child in node.named_children[1:]:
            if child.type == "pair":
                self._pair(child, path)

    def _pair(self, node: tree_sitter.Node, base: KeyPath) -> None:
        key, value = (child for child in node.named_children if child.type != "comment")
        names = self._keys(key)
        for length in range(1, len(names)):  # a dotted key makes the tables on its way
            self.document.value_places.setdefault((*base, *names[:length]), self._place(key))
            self.document.key_places.setdefault((*base, *names[:length]), self._place(key))
        path = (*base, *names)
        self._note(path, key, value, explicit=True)
        self._value(value, path)

    def _value(self, node: tree_sitter.Node, path: KeyPath) -> None:
        self.document.value_places.setdefault(path, self._place(node))
        if node.type == "array":
            items = (child for child in node.named_children if child.type != "comment")
            for index, item in enumerate(items):
                self._value(item, (*path, index))
        elif node.type == "inline_table":
            for child in node.named_children:
                if child.type == "pair":
                    self._pair(child, path)

    def _note(self, path: KeyPath, key: tree_sitter.Node, value: tree_sitter.Node, explicit: bool) -> None:
        before = self.document.key_places.get(path)
        if before and explicit:
            line, column = self._place(key)
            message = f"is given twice, first on line {before[0]}"
            self.document.problems.append(Problem(self.file, line, column, format_key(path), message))
        self.document.key_places.setdefault(path, self._place(key))
        self.document.value_places.setdefault(path, self._place(value))

    def _resolve(self, names: tuple[str, ...]) -> KeyPath:
        """Return the path of a table header: a list of tables on its way means its last one."""
        path: KeyPath = ()
        for position, name in enumerate(names):
            path = (*path, name)
            if position < len(names) - 1 and path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def _keys(self, node: tree_sitter.Node) -> tuple[str, ...]:
        if node.type == "dotted_key":
            return tuple(key for child in node.named_children for key in self._keys(child))
        text = (node.text or b"").decode()
        return tuple(tomllib.loads(f"{text} = 0")) if node.type == "quoted_key" else (text,)

    def _place(self, node: tree_sitter.Node) -> Place:
        line, column = node.start_point
        # The grammar counts bytes; a person's editor counts characters.
        return line + 1, len(self.lines[line][:column].decode(errors="ignore")) + 1
