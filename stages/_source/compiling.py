"""Decides whether CPython accepts a file: one `compile` per file, every refusal a placed problem, warnings kept."""

from __future__ import annotations

import ast
import codecs
import gc
import io
import re
import sys
import tokenize
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.depth import usual_depth
from stages._source.records import CompileProblem, CompileWarning
from verifier.api import may_differ_next_time

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType

    from verifier.api import SourceFile

_BROKEN_TEXT = re.compile(
    r"codec can't (de|en)code|unknown encoding|encoding problem|encoding declaration|Non-UTF-8|not a text encoding"
    r"|codec failed|undefined encoding"
)
_DROPPED = frozenset({"ImportWarning", "ResourceWarning", "PendingDeprecationWarning"})
_COOKIE = re.compile(rb"[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")  # as PEP 263 has it
_BLANK = re.compile(rb"[ \t\f]*(?:[#\r\n]|$)")
_WIDE_TEXT = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_LFS_POINTER = b"version https://git-lfs.github.com/spec/v1"
NOT_UTF8 = "UnicodeWarning"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What CPython made of one file. `code` is None exactly where `problem` is not."""

    code: CodeType | None
    problem: CompileProblem | None = None
    warnings: tuple[CompileWarning, ...] = ()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the cyclic collector out of a pass that allocates millions of nodes and frees them by count."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def compile_source(file: SourceFile) -> Compiled:
    """Compile one file as CPython would, `-O` or not: asserts and `__debug__` blocks are always included."""
    data = file.data
    if data is None:
        return Compiled(None, CompileProblem("unreadable", file.problem or "cannot be read"))
    return compile_bytes(data, file.path)


def compile_bytes(data: bytes, path: str) -> Compiled:
    """Compile source bytes as those of the file at `path`."""
    if b"\0" in data:
        return Compiled(None, _null_bytes(data))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            with usual_depth():
                code = compile(data, path, "exec", flags=_flags(path), dont_inherit=True, optimize=0)
        except SyntaxError as error:
            return Compiled(None, _refused(error, data), _kept(seen))
        except (RecursionError, MemoryError) as error:
            if isinstance(error, MemoryError):
                may_differ_next_time("there was not enough memory")
            return Compiled(None, _too_deep(), _kept(seen))
        except UnicodeError as error:
            return Compiled(None, CompileProblem("encoding", str(error)), _kept(seen))
        except (ValueError, OverflowError) as error:
            return Compiled(None, CompileProblem("syntax", str(error) or type(error).__name__), _kept(seen))
    kept = _kept(seen) if seen else ()
    if not data.isascii() and (stray := _stray_byte(data)):
        kept = (*kept, stray)
    return Compiled(code, None, kept)


def _flags(path: str) -> int:
    """Return how a file is compiled: a cell of a notebook may await at its top level."""
    return ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if path.endswith(".ipynb") else 0


def declared_encoding(data: bytes) -> str:
    """Return the encoding that the BOM or the PEP 263 cookie declares; UTF-8 where there is none."""
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    for line in data.split(b"\n", 2)[:2]:
        if cookie := _COOKIE.match(line):
            return cookie[1].decode("ascii")
        if not _BLANK.match(line):
            break
    return "utf-8"


def source_text(data: bytes) -> str:
    """Return the text of a file that compiles: BOM dropped, line ends unified, stray bytes in comments replaced."""
    text = data.decode("ascii") if data.isascii() else data.decode(declared_encoding(data), "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _kept(seen: list[warnings.WarningMessage]) -> tuple[CompileWarning, ...]:
    found = {
        CompileWarning(item.category.__name__, str(item.message), item.lineno)
        for item in seen
        if item.category.__name__ not in _DROPPED
    }
    return tuple(sorted(found, key=lambda warning: (warning.line, warning.message)))


def _null_bytes(data: bytes) -> CompileProblem:
    offset = data.index(b"\0")
    line = data.count(b"\n", 0, offset) + 1
    column = offset - (data.rfind(b"\n", 0, offset) + 1) + 1
    if data.startswith(_WIDE_TEXT):
        width = 32 if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)) else 16
        message = f"the file holds null bytes: it is UTF-{width} text, which Python does not read as source"
    else:
        message = "the file holds null bytes: it is not Python source text"
    return CompileProblem("null-bytes", message, line, column)


def _too_deep() -> CompileProblem:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return CompileProblem("too-deep", f"the code is nested too deeply for CPython {version} to compile")


def _refused(error: SyntaxError, data: bytes) -> CompileProblem:
    if data.startswith(_LFS_POINTER):
        return CompileProblem("lfs-pointer", "it is a Git LFS pointer, three lines that stand for the file itself")
    text = error.msg or type(error).__name__
    if _BROKEN_TEXT.search(text):
        return _undecodable(data, text)
    if isinstance(error, TabError):
        text = "tabs and spaces are mixed in the indentation so that its depth depends on the width of a tab"
    end_line = error.end_lineno if error.end_lineno and error.end_lineno > 0 else None
    line = max(error.lineno or 1, 1)
    return CompileProblem("syntax", text, line, max(error.offset or 1, 1), max(end_line, line) if end_line else None)


def _undecodable(data: bytes, text: str) -> CompileProblem:
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
    except (SyntaxError, LookupError, ValueError) as error:
        if not str(error).startswith("invalid or missing encoding declaration"):
            return CompileProblem("encoding", str(getattr(error, "msg", None) or error or text))
        encoding = "utf-8"  # nothing is declared, and the first lines are not that
    try:
        data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - (data.rfind(b"\n", 0, error.start) + 1) + 1
        bad = data[error.start]
        return CompileProblem("encoding", f"byte 0x{bad:02x} is not valid {encoding.upper()}", line, column)
    except (LookupError, ValueError):  # there is no such encoding, it is none of text, or it never decodes anything
        pass
    return CompileProblem("encoding", text)


def _stray_byte(data: bytes) -> CompileWarning | None:
    """Return a warning where a comment is not valid text: importing works, running it as a script does not."""
    try:
        data.decode(declared_encoding(data))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = (
            f"byte 0x{data[error.start]:02x} is not valid {error.encoding.upper()}: `import` tolerates it in a comment,"
            " running the file as a script is a SyntaxError"
        )
        return CompileWarning(NOT_UTF8, message, line)
    except LookupError:  # a codec that only the compiler knows: nothing certain to say
        return None
    return None
