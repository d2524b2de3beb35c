"""Decides what a Markdown document is made of, as a code host would read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from markdown_it.token import Token

_PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
_NASTY = (
    *("`", "``", "```\n", "~~~", "|", "\\|", "\\", "\n", "\r\n", "\n\n", "# x", "\n# x", "\n---\n", "\n===\n", "<!--"),
    *("<script>", "</details>", "<b>", "</summary>", "](http://x)", "![x](y)", "[x]: y", "[", "]", "&lt;", "&#35;"),
    *("\x1b[31m", "\u202e", "\u200b", "\x00", "\ud800", "- ", "1. ", "> ", "    ", "\t", "***", "_x_", "__", "$$"),
    *("@team", "www.x.org", "https://x.org/a_b", ":smile:", "| a |\n|---|\n", '"]; click', "*args", "dict[str, int]"),
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What no text from outside may change."""

    headings: tuple[str, ...]
    tables: tuple[tuple[int, ...], ...]
    html: tuple[str, ...]
    links: tuple[str, ...]


def hostile() -> st.SearchStrategy[str]:
    """Text that tries to be something else; never blank, for blank text is left out."""
    parts = st.lists(st.one_of(st.sampled_from(_NASTY), st.text(max_size=8)), min_size=1, max_size=8)
    return parts.map("".join).filter(lambda text: text.strip() != "")


def shape(document: str) -> Shape:
    tokens = _PARSER.parse(document)
    inline = [child for token in tokens for child in token.children or ()]
    return Shape(
        headings=tuple(token.tag for token in tokens if token.type == "heading_open"),
        tables=tuple(_tables(tokens)),
        html=tuple(
            token.content.split("(")[0].strip() for token in [*tokens, *inline] if token.type.startswith("html")
        ),
        links=tuple(
            str(token.attrs.get("href", token.attrs.get("src")))
            for token in inline
            if token.type in ("link_open", "image")
        ),
    )


def headings(document: str) -> list[tuple[int, str]]:
    tokens = _PARSER.parse(document)
    opened = [index for index, token in enumerate(tokens) if token.type == "heading_open"]
    return [(int(tokens[index].tag[1]), plain(tokens[index + 1])) for index in opened]


def blocks(document: str) -> list[Token]:
    return _PARSER.parse(document)


def plain(token: Token) -> str:
    """Return the text of an inline token as a reader sees it."""
    breaks = {"softbreak": "\n", "hardbreak": "\n"}
    return "".join(breaks.get(child.type, child.content) for child in token.children or ())


def text_of(document: str) -> str:
    """Return all text that a reader sees, code included."""
    tokens = _PARSER.parse(document)
    return "\n".join(plain(token) if token.type == "inline" else token.content for token in tokens if token.content)


def _tables(tokens: list[Token]) -> list[tuple[int, ...]]:
    """Return the number of cells of every row, a tuple for each table."""
    tables: list[list[int]] = []
    for token in tokens:
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append(0)
        elif token.type in ("th_open", "td_open"):
            tables[-1][-1] += 1
    return [tuple(rows) for rows in tables]
