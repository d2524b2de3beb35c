"""Which line of the program an event belongs to."""

from __future__ import annotations

import inspect
import os
import sys
import sysconfig
from typing import TYPE_CHECKING

from .records import Frame

if TYPE_CHECKING:
    from types import FrameType

_HERE = os.path.dirname(os.path.abspath(__file__))
_OURS = (os.path.join(_HERE, ""), os.path.join(os.path.dirname(_HERE), "probes", ""))  # the latter starts programs
_SUSPENDS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_MANAGERS = (os.sep + "contextlib.py", "_pytest/fixtures.py")  # run a generator around a block, or around a test
_LIMIT = 60  # frames of one stack that are looked at


class Frames:
    """Reads call stacks. A frame of the program is one that is neither torch's nor ours nor the standard library's.

    Args:
        roots: folders of the program. Inside them, a frame is preferred as the place of an event over frames of
            installed packages, such as a trainer's.
    """

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = tuple(os.path.join(os.path.realpath(root), "") for root in roots)
        paths = sysconfig.get_paths()
        self._installed = tuple(os.path.join(os.path.realpath(paths[key]), "") for key in ("purelib", "platlib"))
        self._library = tuple(os.path.join(os.path.realpath(paths[key]), "") for key in ("stdlib", "platstdlib"))
        torch = sys.modules.get("torch")
        place = getattr(torch, "__file__", None)
        self._torch = os.path.join(os.path.dirname(os.path.realpath(place)), "") if place else "\0"
        self._kinds: dict[str, int] = {}  # by file: the hash of a code object goes through all of it

    def place(self) -> tuple[str, int]:
        """Return path and line of the innermost frame of the program; ("", 0) where there is none.

        The caller is ours, and so is passed over.
        """
        frame: FrameType | None = sys._getframe(2)
        second: tuple[str, int] | None = None
        kinds = self._kinds
        for _ in range(_LIMIT):
            if frame is None:
                break
            name = frame.f_code.co_filename
            kind = kinds.get(name)
            if kind is None:
                kind = kinds[name] = self._kind(name)
            if kind == 2:
                return name, frame.f_lineno
            if kind == 1 and second is None:
                second = name, frame.f_lineno
            frame = frame.f_back
        return second or ("", 0)

    def via(self) -> str:
        """Return the installed package whose frame is nearest, such as "accelerate"; "" if it is the program's own."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            kind = self._kinds.get(name)
            if kind is None:
                kind = self._kinds[name] = self._kind(name)
            if kind:
                return package(name) if kind == 1 else ""
            frame = frame.f_back
        return ""

    @staticmethod
    def through(name: str) -> bool:
        """Whether a function of this installed package is on the stack."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if package(frame.f_code.co_filename) == name:
                return True
            frame = frame.f_back
        return False

    def generator(self) -> FrameType | None:
        """Return the nearest frame of the program if it is a generator or coroutine that others iterate over.

        One that `contextlib` runs is a context manager: what it holds is open for the block of its `with`. So is a
        fixture of pytest.
        """
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            name = frame.f_code.co_filename
            kind = self._kinds.get(name)
            if kind is None:
                kind = self._kinds[name] = self._kind(name)
            if kind:
                caller = frame.f_back
                if kind == 1 or not frame.f_code.co_flags & _SUSPENDS or caller is None:
                    return None
                return None if caller.f_code.co_filename.endswith(_MANAGERS) else frame
            frame = frame.f_back
        return None

    @staticmethod
    def runs(searched: FrameType) -> bool:
        """Whether a frame is on the stack of this thread."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame is searched:
                return True
            frame = frame.f_back
        return False

    def of_error(self, error: BaseException) -> list[Frame]:
        """Return the frames of the program between who caught the error and who raised it, outermost first."""
        found, trace = [], error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if self._kind(code.co_filename) == 2:
                found.append(Frame(path=code.co_filename, line=trace.tb_lineno, function=code.co_name))
            trace = trace.tb_next
        return found

    def stack(self) -> tuple[Frame, ...]:
        """Return the frames of the program, outermost first; those of installed packages between them too."""
        found: list[Frame] = []
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(found) < _LIMIT:
            name = frame.f_code.co_filename
            if self._kind(name):
                found.append(Frame(path=os.path.abspath(name), line=frame.f_lineno, function=frame.f_code.co_qualname))
            frame = frame.f_back
        return tuple(reversed(found))

    @staticmethod
    def at(place: tuple[str, int]) -> tuple[Frame, ...]:
        """Return the one frame that is known of a place that lies behind us."""
        path, line = place
        return (Frame(path=os.path.abspath(path), line=line, function=""),) if path else ()

    def is_own(self, path: str) -> bool:
        """Whether the file belongs to the program and not to an installed package."""
        return self._kind(path) == 2

    def _kind(self, name: str) -> int:
        """2: of the program, 1: of an installed package, 0: of torch, of the interpreter or ours."""
        if name.startswith("<"):
            return 0
        path = os.path.realpath(name)
        if path.startswith((*_OURS, self._torch)):
            return 0
        if path.startswith(self._installed) or "/site-packages/" in path or "/dist-packages/" in path:
            return 1
        if self._roots and path.startswith(self._roots):
            return 2
        if path.startswith(self._library):
            return 0
        return 1 if self._roots else 2


def package(path: str) -> str:
    """Return the top-level package of a file below site-packages, or "". Lightning holds two, told apart."""
    for marker in ("/site-packages/", "/dist-packages/"):
        _before, found, after = path.rpartition(marker)
        if found:
            first, _slash, rest = after.partition("/")
            second = rest.partition("/")[0]
            return f"{first}.{second}" if first == "lightning" and second else first.removesuffix(".py")
    return ""
