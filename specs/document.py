"""YAML files as plain data that remembers its lines, within bounds; the files may come from strangers.

The subset read is YAML 1.2's core schema (``1e-3`` is a number, ``no`` and ``012`` are not turned into something
else), with text keys, no tags and no merge keys. Everything wrong is a RequestError of one line.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from specs.errors import RequestError
from specs.nodes import Place

MOST_BYTES = 64 * 1024
MOST_DEPTH = 16
MOST_VALUES = 20_000  # counted as they are composed, and again as aliases expand
MOST_CHARACTERS = 1_000
LARGEST_INTEGER = 10**15
_TOO_DEEP = f"nested more than {MOST_DEPTH} levels deep"


@dataclass(frozen=True)
class Document:
    """``value`` is made of dict, tuple, str, int, float, bool and None; ``lines`` maps places to lines from 1."""

    path: Path
    value: Any
    lines: dict[Place, int]

    def where(self, place: Place) -> str:
        """ "file:line" of the value at ``place``, or of the nearest value around it."""
        while place not in self.lines:
            place = place[:-1]
        return f"{self.path}:{self.lines[place]}"


def read_document(path: Path) -> Document:
    """The one document of a YAML file. Raises RequestError naming file, line and what is wrong."""
    text = _read_text(path)
    try:
        root = _Loader(text).get_single_node()
    except _BeyondBounds as error:
        raise RequestError(f"{path}:{error.line}: {error}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise RequestError(f"{path}{line}: not valid YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, OverflowError):  # PyYAML lets chr() of an escape such as \UFFFFFFFF fail
        raise RequestError(f"{path}: not valid YAML: a character that YAML does not allow") from None
    if root is None:
        raise RequestError(f"{path}: the file is empty")
    reader = _Reader(path)
    return Document(path, reader.value(root, ()), reader.lines)


def _read_text(path: Path) -> str:
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            raise RequestError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise RequestError(f"{path}: larger than {MOST_BYTES // 1024} KiB, the most a spec may be")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RequestError(f"{path}:{line}: not UTF-8 text") from None


def beside(file: Path, name: str) -> str:
    """What ``file`` calls ``name``, if that is a path: looked for beside the file, then from the current folder.

    A bare name, and a path that is in neither place, is returned as it is.
    """
    path = Path(name)
    if path.is_absolute() or not ("/" in name or path.suffix in (".yaml", ".yml", ".npz")):
        return name
    here = file.parent / path
    return str(here) if here.exists() else name


class _BeyondBounds(Exception):
    def __init__(self, problem: str, line: int) -> None:
        super().__init__(problem)
        self.line = line


class _Loader(yaml.SafeLoader):
    """Composes nodes with the core schema's tags, within the bounds above; PyYAML itself has none."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own way
    depth = 0
    nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        self.nodes += 1
        if self.depth > MOST_DEPTH:
            raise _BeyondBounds(_TOO_DEEP, self.line + 1)  # the scanner's own count of lines read
        if self.nodes > MOST_VALUES:
            raise _BeyondBounds(f"more than {MOST_VALUES} values", self.line + 1)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_TAG = "tag:yaml.org,2002:"
# YAML 1.2.2, section 10.3.2; the last item of each row lists the first characters a match may have.
for _kind, _pattern, _first in (
    ("null", r"(null|Null|NULL|~|)", ["~", "n", "N", ""]),
    ("bool", r"(true|True|TRUE|false|False|FALSE)", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"([-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))", list("-+.")),
):
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"^{_pattern}$"), _first)


class _Dumper(yaml.SafeDumper):
    """Quotes a text wherever the reader above would take it for something else."""

    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        """Equal values are written out each time: people read these files."""
        return True


def to_yaml(data: dict[str, Any]) -> str:
    """Plain data (dict, list or tuple, str, int, float, bool, None) as YAML that ``read_document`` reads back."""
    text: str = yaml.dump(data, Dumper=_Dumper, sort_keys=False, default_flow_style=None, allow_unicode=True, width=120)
    return text


class _Reader:
    """Turns composed nodes into plain data, counting what aliases expand to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[Place, int] = {}

    def value(self, node: yaml.Node, place: Place) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(place, line)
        if len(self.lines) > MOST_VALUES:
            raise self._error(line, f"more than {MOST_VALUES} values once its aliases are expanded")
        if len(place) > MOST_DEPTH:  # an alias of something around it
            raise self._error(line, _TOO_DEEP)
        match node:
            case yaml.MappingNode(tag="tag:yaml.org,2002:map"):
                return self._mapping(node, place)
            case yaml.SequenceNode(tag="tag:yaml.org,2002:seq"):
                return tuple(self.value(item, (*place, index)) for index, item in enumerate(node.value))
            case yaml.ScalarNode():
                return self._scalar(node, line)
            case _:
                raise self._error(line, f"the tag {node.tag!r} is not allowed")

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._scalar(key_node, line) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise self._error(line, "a key must be text")
            if key in result:
                raise self._error(line, f"duplicate key {key!r} (first on line {self.lines[(*place, key)]})")
            self.lines[(*place, key)] = line
            result[key] = self.value(value_node, (*place, key))
        return result

    def _scalar(self, node: yaml.ScalarNode, line: int) -> Any:
        text = node.value
        if len(text) > MOST_CHARACTERS:
            raise self._error(line, f"a text of {len(text)} characters; at most {MOST_CHARACTERS} are allowed")
        try:
            match node.tag.removeprefix(_TAG):
                case "str":
                    text = " ".join(text.split())  # a folded text is one line
                    if any(unicodedata.category(character) in ("Cc", "Cs", "Cf") for character in text):
                        raise self._error(line, f"control characters in {text!a}")
                    return text
                case "null":
                    return None
                case "bool":
                    return {"true": True, "false": False}[text.lower()]
                case "int":
                    if abs(number := int(text)) > LARGEST_INTEGER:
                        raise self._error(line, "a number too large to mean anything here")
                    return number
                case "float":
                    return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))
        except (ValueError, KeyError) as error:
            if isinstance(error, RequestError):
                raise
            raise self._error(line, f"{text!a} does not suit its tag {node.tag!a}") from None
        raise self._error(line, f"the tag {node.tag!a} is not allowed")

    def _error(self, line: int, problem: str) -> RequestError:
        return RequestError(f"{self.path}:{line}: {problem}")
