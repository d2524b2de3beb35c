"""Decides how text from outside is written for HTML, so that it is text and nothing else."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from reports.escape import BLOCK_LIMIT, CODE_LIMIT, PROSE_LIMIT, SOURCE_LIMIT, TEXT_LIMIT, parts
from verifier.api import cut, one_line, visible

if TYPE_CHECKING:
    from collections.abc import Iterable


def plain(text: str, limit: int = PROSE_LIMIT) -> Markup:
    return escape(one_line(text, limit))


def words(text: str, limit: int = PROSE_LIMIT) -> Markup:
    """Write one line of prose; what stands between backticks is code."""
    pieces = one_line(text, limit).split("`")
    if len(pieces) % 2 == 0 or not all(piece.strip() for piece in pieces[1::2]):
        return escape("`".join(pieces))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if index % 2 else escape(piece) for index, piece in enumerate(pieces)
    )


def code(text: str, limit: int = CODE_LIMIT) -> Markup:
    return Markup("<code>{}</code>").format(one_line(text, limit) or "(empty)")


def blocks(text: str) -> Markup:
    """Write text of several lines: paragraphs, lists and code, as `reports.escape.paragraphs` tells them apart."""
    return Markup("").join(_block(kind, lines) for kind, lines in parts(text))


def _block(kind: str, lines: list[str]) -> Markup:
    if kind == "code":
        return listing(("", line) for line in lines)
    if kind == "items":
        rows = (Markup("<li>{}</li>").format(words(line)) for line in lines[:BLOCK_LIMIT])
        return Markup("<ul>{}</ul>").format(Markup("").join(rows))
    return Markup("<p>{}</p>").format(words(" ".join(lines)))


def listing(lines: Iterable[tuple[str, str]], label: str = "code") -> Markup:
    """Write lines of code, each with its class: one that can be scrolled with the keyboard.

    Args:
        lines: class (ours, never from outside) and text of each line.
        label: what a screen reader says of the block.
    """
    rows = list(lines)
    while rows and not rows[-1][1].strip():
        rows.pop()
    shown = [_line(kind, text) for kind, text in rows[:BLOCK_LIMIT]]
    if len(rows) > BLOCK_LIMIT:
        shown.append(_line("more", f"… ({len(rows) - BLOCK_LIMIT:,} more lines)"))
    return Markup('<pre tabindex="0" role="region" aria-label="{}"><code>{}</code></pre>').format(
        one_line(label), Markup("").join(shown)
    )


def _line(kind: str, text: str) -> Markup:
    shown = visible(cut(text.expandtabs(4).rstrip(), SOURCE_LIMIT))
    return Markup('<span class="line {}">{}\n</span>').format(kind, shown)


def tail(text: str) -> Markup:
    """Write the last lines of a long text, such as a traceback."""
    lines = text[-TEXT_LIMIT:].rstrip().split("\n")
    return listing((("", line) for line in lines[-BLOCK_LIMIT:]), "output")


def image(svg: str) -> str:
    """Return the address of a picture that holds all of it."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode('utf-8', 'backslashreplace')).decode('ascii')}"
