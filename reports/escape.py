"""Decides how text from outside is written so that it can never change a document's structure."""

from __future__ import annotations

import html
import re

from markupsafe import Markup

from verifier.api import LINE_LIMIT, cut, one_line, visible

PROSE_LIMIT = LINE_LIMIT
CODE_LIMIT = 200
SOURCE_LIMIT = 160
BLOCK_LIMIT = 40
TEXT_LIMIT = 20_000

# What may be code: among these, a plain word is told apart by `_CODE_LIKE`. Written as code they need no backslash,
# and a code host does not act on them (links, mentions, emphasis, emoji).
_WORD = re.compile(
    r"""
    \w+://[\w./:?=&%\#@+~,-]*[\w/]            # a URL
    | :[a-z0-9_+-]+:                          # an emoji shortcode
    | <\w+>                                   # <module>, <lambda>
    | '[\w./:<>-]+'                           # 'quoted'
    | \*{1,2}[A-Za-z]\w*                      # *args, **kwargs
    | [\w.]+\[[\w.,\ \[\]]*\]                 # dict[str, int]
    | (?P<word>[\w./:@-]*\w(?:\(\))?)
    """,
    re.VERBOSE,
)
_CODE_LIKE = re.compile(
    r"""
    .*[_@].* | .*::.* | .*\(\) | www\..*
    | .*/.*\.\w+(?::\d+){0,2}                # a/path.py, a/path.py:3
    | [A-Za-z]\w+(?:\.[A-Za-z]\w+)+           # a dotted.name
    | [A-Za-z][\w.-]*:[A-Za-z][\w-]*          # a module:factory, a stage:gate
    """,
    re.VERBOSE,
)
_SPECIAL = re.compile(r"[\\`*_\[\]#|~$]|<(?=[A-Za-z/!?])|&(?=[#\w])")
_BLOCK_START = re.compile(r"[-+=>]|\d{1,9}(?=[.)](?:\s|$))")
_TICKS = re.compile(r"`+")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s+(?P<text>\S.*)")


def prose(text: str, *, limit: int = PROSE_LIMIT, cell: bool = False) -> Markup:
    """Write text for a paragraph, heading or list item, or with `cell` for a table cell."""
    parts = one_line(text, limit).split("`")
    if len(parts) % 2 == 0 or not all(part.strip() for part in parts[1::2]):
        parts = ["`".join(parts)]  # backticks that quote nothing are characters like any other
    joined = "".join(str(code(part, cell=cell)) if index % 2 else _plain(part) for index, part in enumerate(parts))
    if start := _BLOCK_START.match(joined):
        joined = f"\\{joined}" if start[0] in "-+=>" else f"{start[0]}\\{joined[start.end() :]}"
    return Markup(joined)


def code(text: str, *, limit: int = CODE_LIMIT, cell: bool = False) -> Markup:
    """Write text as a code span that its own backticks cannot close."""
    shown = visible(cut(text, limit))
    if not shown.strip():
        return Markup("(empty)")
    ticks = "`" * (max((len(run) for run in _TICKS.findall(shown)), default=0) + 1)
    if shown[0] in "` " or shown[-1] in "` ":
        shown = f" {shown} "
    if cell:
        shown = shown.replace("|", "\\|")
    return Markup(f"{ticks}{shown}{ticks}")


def fence(text: str, language: str = "text", *, limit: int = BLOCK_LIMIT, tail: bool = False) -> Markup:
    """Write text as a fenced block longer than any fence in it. `tail` keeps the last lines of a long text."""
    lines = [visible(cut(line.expandtabs(4).rstrip(), SOURCE_LIMIT)) for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if len(lines) > limit:
        note = f"… ({len(lines) - limit:,} more lines)"
        lines = [note, *lines[-limit:]] if tail else [*lines[:limit], note]
    body = "\n".join(lines)
    ticks = "`" * max(3, max((len(run) for run in _TICKS.findall(body)), default=0) + 1)
    return Markup(f"{ticks}{language}\n{body}\n{ticks}")


def paragraphs(text: str, language: str = "python") -> Markup:
    """Write text of several lines: blank lines part paragraphs, `- ` begins an item, four spaces begin code.

    Code or items at the beginning keep their distance from what a template has written on the same line.
    """
    full = parts(text)
    lead = "\n\n" if full and full[0][0] != "text" else ""
    return Markup(lead + "\n\n".join(_block(kind, lines, language) for kind, lines in full))


def parts(text: str) -> list[tuple[str, list[str]]]:
    """Return the parts of a text of several lines, each with its kind: text, items or code. Nothing is escaped yet."""
    blocks: list[tuple[str, list[str]]] = []
    for line in cut(text, TEXT_LIMIT).replace("\r\n", "\n").split("\n"):
        kind, content = _classify(line)
        if kind == "blank" and not (blocks and blocks[-1][0] == "code"):
            blocks.append((kind, []))
        elif blocks and (blocks[-1][0] == kind or (kind == "blank" and blocks[-1][0] == "code")):
            blocks[-1][1].append(content)
        else:
            blocks.append((kind, [content]))
    return [(kind, lines) for kind, lines in blocks if any(lines)]


def html_text(text: str, limit: int = CODE_LIMIT) -> Markup:
    """Write text for an HTML element that stands in Markdown."""
    return Markup(html.escape(one_line(text, limit)))


def _classify(line: str) -> tuple[str, str]:
    if not line.strip():
        return "blank", ""
    if line.startswith(("    ", "\t")):
        return "code", line.expandtabs(4)[4:]
    if item := _ITEM.fullmatch(line.strip()):
        return "items", item["text"]
    return "text", line


def _block(kind: str, lines: list[str], language: str) -> str:
    if kind == "code":
        return str(fence("\n".join(lines), language))
    if kind == "items":
        return "\n".join(f"- {prose(line)}" for line in lines[:BLOCK_LIMIT])
    return str(prose(" ".join(lines)))


def _plain(text: str) -> str:
    written, position = [], 0
    for found in _WORD.finditer(text):
        if found["word"] and not _CODE_LIKE.fullmatch(found["word"]):
            continue
        written += [_SPECIAL.sub(r"\\\g<0>", text[position : found.start()]), str(code(found[0]))]
        position = found.end()
    return "".join([*written, _SPECIAL.sub(r"\\\g<0>", text[position:])])
