"""Decides which further lines of a refused file are errors of their own: CPython's parser and ruff's must agree.

CPython stops at its first error. So the statement that it refuses is replaced by one that does nothing, and CPython is
asked again. Where the replacement itself breaks what follows, ruff has nothing to say of that line, and it is not
listed: one unclosed bracket is one place, however many lines it swallows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stages._source.compiling import compile_bytes
from stages._source.patterns import late

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stages._source.records import CompileProblem

_Taken = tuple[int, int, bytes]  # the lines from one index up to another, and the code that stands in instead
MOST = 20  # further places listed
_ROUNDS = 3 * MOST
_BYTES = 8_000_000  # that CPython reads again for one file, all rounds together
_HEADER = late(rb"\s*(async|case|class|def|elif|else|except|finally|for|if|match|try|while|with)\b")
_HARMLESS = {
    b"async": b"async def _():",
    b"def": b"def _():",
    b"class": b"class _:",
    b"for": b"while 1:",
    b"while": b"while 1:",
    b"case": b"case 1:",
    b"elif": b"elif 1:",
    b"else": b"else:",
    b"except": b"except Exception:",
    b"finally": b"finally:",
    b"match": b"match 1:",
    b"try": b"try:",
}


def further_problems(
    data: bytes, path: str, first: CompileProblem, seen: Mapping[int, CompileProblem]
) -> list[CompileProblem]:
    """Return the errors after the first, in the order of their lines.

    Args:
        seen: line -> the first error that ruff names on it.
    """
    lines = data.splitlines() or [b""]
    found: list[CompileProblem] = []
    problem = first
    done: set[int] = set()
    for _ in range(min(_ROUNDS, _BYTES // max(1, len(data)))):
        cause = _cause(problem, seen, max((line for line in done if line < problem.line), default=0))
        ways = (_line, _block, _enclosing) if cause is not None else (_block, _enclosing)
        done |= {problem.line, (cause or problem).line}
        attempts = (_without(lines, path, way(lines, cause or problem)) for way in ways)
        after = _best((attempt for attempt in attempts if _leads_on(attempt, problem, seen, done)), seen)
        if cause is not None and problem is not first and (cause is problem or after is not None):
            found.append(cause)
        if after is None or after.problem is None or after.problem.kind != "syntax" or len(found) == MOST:
            break
        lines, problem = after.lines, after.problem
    return sorted(found, key=lambda item: item.line)


@dataclass(frozen=True, slots=True)
class _After:
    """The file without a statement, and what CPython says of it."""

    lines: list[bytes]
    problem: CompileProblem | None


def _leads_on(after: _After, before: CompileProblem, seen: Mapping[int, CompileProblem], done: set[int]) -> bool:
    """Say whether CPython got further: below the line, or above it to an error that a broken string hid from it."""
    problem = after.problem
    if problem is None or problem.line > before.line:
        return True
    return problem.line in seen and problem.line not in done


def _without(lines: list[bytes], path: str, taken: _Taken) -> _After:
    start, end, instead = taken
    left = [*lines[:start], instead, *[b""] * (end - start - 1), *lines[end:]]
    return _After(left, compile_bytes(b"\n".join(left) + b"\n", path).problem)


def _best(attempts: Iterable[_After], seen: Mapping[int, CompileProblem]) -> _After | None:
    """Return the first attempt that leads to the end or to an error that ruff names too, else the first of all."""
    first = None
    for attempt in attempts:
        if attempt.problem is None or _names(seen, attempt.problem):
            return attempt
        first = first or attempt
    return first


def _names(seen: Mapping[int, CompileProblem], problem: CompileProblem) -> bool:
    end = problem.end_line or problem.line
    if problem.message.endswith("was never closed"):  # which ruff says where it gives up looking for the bracket
        end = max(seen, default=end)
    return any(problem.line <= line <= end for line in seen)


def _cause(problem: CompileProblem, seen: Mapping[int, CompileProblem], last: int) -> CompileProblem | None:
    """Return the error behind a refusal: itself where ruff names its lines too, else the last that ruff names above.

    An unclosed bracket is one that CPython may notice only in the next statement.
    """
    if _names(seen, problem):
        return problem
    above = max((line for line in seen if last < line < problem.line), default=None)
    return None if above is None else seen[above]


def _line(lines: list[bytes], problem: CompileProblem) -> _Taken:
    """Take out the lines that the problem names, and leave the block below them standing."""
    start = _index(lines, problem)
    end = max(start + 1, min(problem.end_line or 0, len(lines)))
    line = lines[start]
    header = _HEADER.match(line)
    if header and _indent(_next_code(lines, end)) > _indent(line):
        return start, end, _spaces(line) + _HARMLESS.get(header[1], b"if 1:")
    return start, end, _spaces(line) + b"pass"


def _block(lines: list[bytes], problem: CompileProblem) -> _Taken:
    """Take out the line with everything that stands deeper below it."""
    start = _index(lines, problem)
    return start, max(_end_of_block(lines, start), min(problem.end_line or 0, len(lines))), b""


def _enclosing(lines: list[bytes], problem: CompileProblem) -> _Taken:
    """Take out what the line stands in: the statement it continues, or the block."""
    start = _index(lines, problem)
    depth = _indent(lines[start])
    above = next((i for i in range(start - 1, -1, -1) if lines[i].strip() and _indent(lines[i]) < depth), start)
    return above, max(start + 1, _end_of_block(lines, above)), _spaces(lines[above]) + b"pass"


def _index(lines: list[bytes], problem: CompileProblem) -> int:
    return max(0, min(problem.line, len(lines)) - 1)


def _end_of_block(lines: list[bytes], start: int) -> int:
    """Return the index of the next line that stands no deeper and does not close a bracket."""
    depth = _indent(lines[start])
    for index in range(start + 1, len(lines)):
        text = lines[index].strip()
        if text and not text.startswith((b")", b"]", b"}", b"#")) and _indent(lines[index]) <= depth:
            return index
    return len(lines)


def _next_code(lines: list[bytes], start: int) -> bytes:
    return next((line for line in lines[start:] if line.strip() and not line.lstrip().startswith(b"#")), b"")


def _spaces(line: bytes) -> bytes:
    return line[: len(line) - len(line.lstrip(b" \t\f"))]


def _indent(line: bytes) -> int:
    return len(_spaces(line).expandtabs(8))
