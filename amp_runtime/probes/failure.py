"""Describe an exception or a dumped stack without trusting anything the project wrote, hostile `__str__` included."""

from __future__ import annotations

import linecache
import os
import re
from typing import TYPE_CHECKING

from ..wire import Failure, Frame
from .relocate import Relocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

_HARNESS = os.path.dirname(os.path.realpath(__file__)) + os.sep
_PRIVATE_NAME = __name__.partition(".")[0]
_MESSAGE_LIMIT = 2000
_TEXT_LIMIT = 6000
_FRAMES_LIMIT = 40
_DUMPED = re.compile(r'  File "(?P<path>.*)", line (?P<line>\d+) in (?P<function>.*)')
# The slots of BaseException itself: a class may hide them behind properties that raise.
_SLOTS = vars(BaseException)
_cause, _context, _suppressed, _traceback = (
    _SLOTS[name].__get__ for name in ("__cause__", "__context__", "__suppress_context__", "__traceback__")
)
_of_syntax_error = {name: vars(SyntaxError)[name].__get__ for name in ("filename", "lineno")}
_NOT_THE_PROJECT = re.compile(r"(^|/)(site-packages|dist-packages|\.[^/]+)/")


class Project:
    """Tells the project's own lines from everybody else's."""

    def __init__(self, root: str, relocation: Relocation | None = None) -> None:
        self.relocation = relocation or Relocation(root, root)
        self._roots = tuple(os.path.realpath(place) + os.sep for place in (root, self.relocation.origin))

    def relative(self, path: str) -> str | None:
        """Return the path below the root, POSIX; None for a file that is not the project's own."""
        if path.startswith("<"):  # <string>, <frozen importlib._bootstrap>: no file
            return None
        full = os.path.realpath(path)
        root = next((root for root in self._roots if full.startswith(root)), None)
        if root is None:
            return None
        inside = full[len(root) :].replace(os.sep, "/")
        return None if _NOT_THE_PROJECT.search(inside) else inside

    def describe(self, error: BaseException) -> Failure:
        chain = list(_chain(error))
        frames: tuple[Frame, ...] = ()
        for link in chain:  # the error itself first, then what it was raised from
            frames = self._frames(_traceback(link))
            if issubclass(type(link), SyntaxError):  # isinstance would ask the object for its class
                frames += self._syntax_error_place(link)
            if frames:
                break
        text = "\n\nwhile handling:\n".join(self._format(link) for link in chain)
        return Failure(
            type=_type_name(error), message=safe_text(error), frames=frames[-_FRAMES_LIMIT:], text=text[-_TEXT_LIMIT:]
        )

    def _frames(self, traceback: TracebackType | None) -> tuple[Frame, ...]:
        found = []
        for path, line, function in _walk(traceback):
            inside = self.relative(path)
            if inside is not None:
                found.append(Frame(path=inside, line=line, function=function))
        return tuple(found)

    def _format(self, error: BaseException) -> str:
        """Write the traceback as Python does, from the first line of the project on: what called it is the harness."""
        frames = list(_walk(_traceback(error)))
        while frames and self.relative(frames[0][0]) is None and any(self.relative(path) for path, _, _ in frames):
            del frames[0]
        lines = []
        for path, line, function in frames[-_FRAMES_LIMIT:]:
            lines.append(f'  File "{self.relative(path) or path}", line {line}, in {function}')
            if source := linecache.getline(path, line).strip():
                lines.append(f"    {source[:200]}")
        lines.append(f"{_type_name(error)}: {safe_text(error)}")
        return "\n".join(lines)

    def _syntax_error_place(self, error: BaseException) -> tuple[Frame, ...]:
        file, line = _of_syntax_error["filename"](error), _of_syntax_error["lineno"](error)
        inside = self.relative(file) if type(file) is str else None
        return () if inside is None else (Frame(path=inside, line=line or 1, function="<module>"),)

    def stack(self, dump: str) -> tuple[Frame, ...]:
        """Return the project's frames in a faulthandler dump, outermost first: of the failing thread, else the main."""
        blocks = re.split(r"(?m)^(?=Thread 0x|Current thread|Stack )", dump)
        ordered = sorted(blocks, key=lambda block: block.startswith("Current thread"))
        for block in reversed(ordered):  # the main thread is dumped last
            frames: list[Frame] = []
            for match in reversed(_without_harness(list(_DUMPED.finditer(block)))):
                inside = self.relative(match["path"])
                if inside is not None:
                    frames.append(Frame(path=inside, line=int(match["line"]), function=match["function"]))
            if frames:
                return tuple(frames)
        return ()


def _without_harness(dumped: list[re.Match[str]]) -> list[re.Match[str]]:
    """Drop the harness's own frames from both ends of a stack: what started the code, and what caught its exit."""
    inner = [not os.path.realpath(match["path"]).startswith(_HARNESS) for match in dumped]
    if True not in inner:
        return []
    return dumped[inner.index(True) : len(inner) - inner[::-1].index(True)]


def safe_text(value: object) -> str:
    """Return `str(value)`, shortened, as an exact str; a sentence where that raises."""
    try:
        text = str(value)
        return str.__getitem__(text, slice(0, _MESSAGE_LIMIT)).encode("utf-8", "backslashreplace").decode()
    except BaseException as problem:  # hostile or broken __str__: say so, and go on
        return f"<its text cannot be shown: __str__ raised {_type_name(problem)}>"


def _type_name(error: BaseException) -> str:
    name = type.__dict__["__name__"].__get__(type(error))
    return str.__getitem__(name, slice(0, 200)) if isinstance(name, str) else "<unnamed>"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(seen) < 5 and all(link is not other for other in seen):
        seen.append(link)
        yield link
        link = _cause(link) or (None if _suppressed(link) else _context(link))


def _walk(traceback: TracebackType | None) -> Iterator[tuple[str, int, str]]:
    """Yield path, line and function of each frame, without the harness's own and the import system's."""
    while traceback is not None:
        frame = traceback.tb_frame
        owner = frame.f_globals.get("__name__")
        ours = isinstance(owner, str) and owner.partition(".")[0] == _PRIVATE_NAME
        if not ours and not frame.f_code.co_filename.startswith("<frozen importlib"):
            yield frame.f_code.co_filename, traceback.tb_lineno or 1, frame.f_code.co_name
        traceback = traceback.tb_next
