"""Decides what of a cell is Python: magics, shell commands and help give way to Python of as many lines."""

from __future__ import annotations
import __future__

import keyword
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from verifier.notebooks.magic_names import BIND_ANYTHING, FOREIGN_CELLS, PYTHON_CELLS, SETTINGS, WITHOUT_PERCENT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FEATURES = frozenset(__future__.all_feature_names)
VALUE = "get_ipython()"  # stands for whatever a magic returns
_ANY_NAME = "exec(In)"  # stands for a magic that may bind any name
_ESCAPES = "!%?,;/"  # what begins no statement of Python
_STOP = re.compile(r"""'{3}|"{3}|['"#()\[\]{}\n\\?=]""")
_STRING_END = {
    quote: re.compile(rf"(?:[^\\{'' if len(quote) == 3 else chr(10)}]|\\.)*?{quote}", re.DOTALL)
    for quote in ("'''", '"""', "'", '"')
}
_SPACE = re.compile(r"[ \t\f]*")
_MAGIC_VALUE = re.compile(r"=[ \t]*(?:!|%(?=[A-Za-z_%]))")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}
_PART_OF_OPERATOR = "=!<>:+-*/%&|^@~"
_HELP = re.compile(r"\?+[ \t]*(?:\n|\Z)")
_CONTINUED = re.compile(r"(?:[^\n]*\\\n)*[^\n]*")
_MAGIC = re.compile(r"%%?[ \t]*(?P<name>[\w.!]+)(?P<rest>.*)", re.DOTALL)
_FUTURE = re.compile(
    r"from[ \t]+__future__[ \t]+import[ \t]+(?P<names>[\w\s,()\\]+?)(?P<rest>[ \t]*(?:;[^\n]*)?(?:#[^\n]*)?\n?)\Z"
)
_GLOBAL = re.compile(r"global[ \t]+[\w \t,]+(?:#[^\n]*)?\n?\Z")
_COMPOUND = re.compile(r"(?:async|class|def|for|if|match|try|while|with)\b|[@!%?]")
_ASSIGNED = re.compile(r"\b([A-Za-z_]\w*)[ \t]*(?:=(?!=)|<<)")
_DEFINED = re.compile(r"\b(?:c?p?def|class|import|as)[ \t]+(?:\w+[ \t]+)*?([A-Za-z_]\w*)[ \t]*(?=[(:\n,]|\Z)")
_LOOPED = re.compile(r"\bfor[ \t]+([\w, \t]+?)[ \t]+in\b")
_PROMPT = re.compile(r"^(?P<indent>[ \t]*)(?:>>>|\.\.\.)(?: |$)")
_STRING_START = re.compile(r"""'{3}|"{3}""")
_OUTPUTS = re.compile(r"(?:--out|--err|--proc|-o|--output)[ \t=]+([A-Za-z_][\w,]*)")
_AUTOMAGIC = re.compile(r"(?P<name>[a-z_]+)(?:[ \t]+(?![=,(\[])(?P<rest>.*))?\Z")


@dataclass(slots=True)
class CellCode:
    """A cell as Python.

    Args:
        lines: as many as the cell has; a statement that is Python stands where it stood.
        features: what it imports from `__future__`, which only the beginning of a text may.
        indented: its first statement is indented, which IPython passes over.
    """

    lines: list[str]
    features: set[str] = field(default_factory=set)
    indented: bool = False


def to_python(lines: Sequence[str]) -> CellCode:
    """Return a cell's Python: the cell itself where it holds nothing else."""
    first = next((place for place, line in enumerate(lines) if line.strip()), None)
    if first is None:
        return CellCode(list(lines))
    if _is_session(lines, first):
        return _without_prompts(lines)
    head = lines[first].strip()
    if head.startswith("%%") and not re.match(r"%%+\w*\?", head):
        return _cell_magic(lines, first, head)
    if not any(line.strip() for line in lines[first + 1 :]) and _is_automagic(head):
        return CellCode([*lines[:first], _line_magic(f"%{head}", ""), *lines[first + 1 :]])
    code = CellCode([])
    code.lines = _Lines("\n".join(lines), code.features).rewritten().split("\n")
    code.indented = lines[first][0] in " \t" and _first_code(code.lines)[:1] in (" ", "\t")
    return code


def _is_session(lines: Sequence[str], first: int) -> bool:
    """Return whether the cell was copied from an interactive session: IPython passes over its prompts."""
    above = [lines[first], *lines[first + 1 : first + 2]]
    if _PROMPT.match(above[0]) is None and _STRING_START.search(above[0]):
        return False  # what follows may stand in a string
    return any(_PROMPT.match(line) and line.lstrip().startswith(">>>") for line in above)


def _without_prompts(lines: Sequence[str]) -> CellCode:
    found = [match for line in lines if line.strip() and (match := _PROMPT.match(line))]
    evenly = len(found) == sum(bool(line.strip()) for line in lines) and len({match["indent"] for match in found}) == 1
    return to_python([_PROMPT.sub(r"\g<indent>    " if evenly else "", line) for line in lines])


def bound_by(text: str) -> list[str]:
    """Return the names that code which cannot be read may bind: all that it assigns, imports or defines."""
    found = [*_ASSIGNED.findall(text), *_DEFINED.findall(text)]
    found += [name.strip() for names in (*_OUTPUTS.findall(text), *_LOOPED.findall(text)) for name in names.split(",")]
    return _names(found)


def binding(names: Iterable[str]) -> str:
    """Return a statement that binds names to what is not known."""
    return "".join(f"{name} = " for name in names) + VALUE if names else ""


def _names(found: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(found) if name.isidentifier() and not keyword.iskeyword(name)]


def _first_code(lines: Iterable[str]) -> str:
    return next((line for line in lines if line.strip() and not line.lstrip().startswith("#")), "")


def _is_automagic(line: str) -> bool:
    found = _AUTOMAGIC.match(line)
    return found is not None and found["name"] in WITHOUT_PERCENT


def _cell_magic(lines: Sequence[str], first: int, head: str) -> CellCode:
    found = _MAGIC.match(head)
    name, rest = (found["name"], found["rest"]) if found else ("", head)
    body = lines[first + 1 :]
    if name in PYTHON_CELLS:
        code = to_python(body)
        words = rest.split()
        names = words[:1] if name == "capture" and words and not words[0].startswith("-") else bound_by(rest)
        above = [""] * first + [binding(_names(names))]
        if code.indented:
            held = ", ".join(f"{name} := {VALUE}" for name in _names(names))
            above[-1] = f"if [{held}]:" if held else "if 1:"
        return CellCode([*above, *code.lines], code.features)
    bound = _names(_OUTPUTS.findall(rest)) if name in FOREIGN_CELLS else bound_by("\n".join([rest, *body]))
    return CellCode([""] * first + [binding(bound)] + [""] * len(body))


def _line_magic(command: str, indent: str) -> str:
    """Return what stands for a line that is a magic, a shell command or a request for help."""
    nothing = "pass" if indent else ""
    found = _MAGIC.match(command)
    if found is None or command.rstrip().endswith("?"):
        return nothing
    name, rest = found["name"], found["rest"]
    if name in BIND_ANYTHING:
        return _ANY_NAME
    if name == "time" and rest.strip() and "\n" not in rest and not _COMPOUND.match(rest.lstrip()):
        return f"if 1:{rest}"
    if name == "aimport":
        return binding(_names(rest.replace(",", " ").split())) or nothing
    return binding(() if name in SETTINGS else bound_by(rest)) or nothing


class _Lines:
    """Reads a cell's text statement by statement, and rewrites those that are not Python."""

    def __init__(self, text: str, features: set[str]) -> None:
        self._text = text
        self._features = features

    def rewritten(self) -> str:
        text, parts, start = self._text, [], 0
        while start < len(text):
            code = self._first_code(start)
            if code < len(text) and text[code] in _ESCAPES:
                end = self._line_end(code)
                statement = self._instead(
                    start, code, end, _line_magic(text[code:end].removesuffix("\n"), text[start:code])
                )
            else:
                end, statement = self._statement(start, code)
            parts.append(statement)
            start = end
        return "".join(parts)

    def _first_code(self, start: int) -> int:
        found = _SPACE.match(self._text, start)
        assert found is not None
        return found.end()

    def _line_end(self, start: int) -> int:
        found = _CONTINUED.match(self._text, start)
        assert found is not None
        return min(found.end() + 1, len(self._text))

    def _instead(self, start: int, code: int, end: int, text: str) -> str:
        """Return other text on as many lines."""
        return self._text[start:code] + text + "\n" * self._text.count("\n", code, end)

    def _statement(self, start: int, code: int) -> tuple[int, str]:
        """Return where the statement ends, and what stands for it: itself where it is Python."""
        text, depth, place = self._text, 0, code
        while found := _STOP.search(text, place):
            mark, place = found[0], found.end()
            if mark in _BRACKETS:
                depth = max(0, depth + _BRACKETS[mark])
            elif mark == "\\":
                place += 1
            elif mark in _STRING_END or mark == "#":
                place = self._behind(mark, place)
            elif depth == 0 and mark == "\n":
                break
            elif depth == 0 and mark == "?" and _HELP.match(text, found.start()):
                end = self._line_end(found.start())
                return end, self._instead(start, code, end, "pass" if code > start else "")
            elif depth == 0 and mark == "=" and self._is_given_by_magic(place):
                end = self._line_end(place)
                return end, self._instead(start, place, end, f" {VALUE}")
        else:
            place = len(text)
        return place, self._without_declaration(start, code, place)

    def _behind(self, mark: str, place: int) -> int:
        """Return where a comment or a string ends; one that is not closed ends with its line, or with the cell."""
        closed = _STRING_END[mark].match(self._text, place) if mark != "#" else None
        if closed:
            return closed.end()
        return len(self._text) if len(mark) == 3 else self._end_of_line(place)

    def _is_given_by_magic(self, place: int) -> bool:
        if self._text[max(0, place - 2) : place - 1] in tuple(_PART_OF_OPERATOR):
            return False
        return _MAGIC_VALUE.match(self._text, place - 1) is not None

    def _end_of_line(self, place: int) -> int:
        end = self._text.find("\n", place)
        return len(self._text) if end < 0 else end

    def _without_declaration(self, start: int, code: int, end: int) -> str:
        """Leave out what only the beginning of a text may say, and what at this level says nothing."""
        statement = self._text[code:end]
        if statement.startswith("from") and (found := _FUTURE.match(statement)):
            names = re.findall(r"\w+", found["names"])
            if names and all(name in _FEATURES for name in names):
                self._features.update(names)
                rest = found["rest"] if found["rest"].lstrip().startswith(";") else ""
                instead = f"{'pass':{found.start('rest')}}{rest.rstrip()}" if rest else "pass" if code > start else ""
                return self._instead(start, code, end, instead)
        if code == start and statement.startswith("global") and _GLOBAL.match(statement):
            return self._instead(start, code, end, "")
        return self._text[start:end]
