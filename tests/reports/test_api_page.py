"""The reference says what the source says, of everything that is public, and text from a docstring stays text."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings

from reports import api_page
from reports.api_source import Block, blocks, read_package
from tests.reports.parsed import headings, hostile, shape, text_of

ROOT = Path(__file__).parents[2]
PAGE = api_page.page(ROOT / "amp_runtime")
MODULES = read_package(ROOT / "amp_runtime", leave_out=api_page.left_out(ROOT / "amp_runtime"))

SOURCE = '''
    """Does one thing.

    And says more.
    """
    import dataclasses
    import enum

    __all__ = ["Plain"]

    class Colour(enum.StrEnum):
        """A colour."""
        RED = "red"

    @dataclasses.dataclass(frozen=True)
    class Data:
        """Plain data.

        Args:
            size: in bytes,
                never negative.
            name, alias: both are shown.

        Raises:
            ValueError: a size below 0.

        Afterwards.
        """
        size: int
        name: str = "x"
        _hidden: int = 0

        @property
        def double(self) -> int: return 2 * self.size

        @classmethod
        def make(cls, *sizes: int, **more: str) -> Data: ...

    class Plain(dict):
        def __init__(self, path: str, /, mode="r", *, flag: bool = False) -> None: ...
        def _hidden(self): ...
        @staticmethod
        def static(a, b=1): ...
        @double.setter
        def double(self, value): ...

    def function(argument: int, another_argument: dict[str, list[int]], a_third_one: tuple[int, ...] = ()) -> None:
        """Do it:

        - NONE: not at all,
          really;
        - SOME: a little.
        """

    def _hidden(): ...
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "pkg"
    folder.mkdir()
    (folder / "__init__.py").write_text('__all__ = ["Plain"]\n')
    (folder / "things.py").write_text(textwrap.dedent(SOURCE))
    (folder / "_private.py").write_text("class Hidden: ...")
    (folder / "empty.py").write_text("x = 1")
    return folder


def test_all_that_is_public_is_shown_as_it_is_written(package: Path) -> None:
    (module,) = read_package(package)
    assert (module.name, module.summary) == ("pkg.things", "Does one thing.")
    assert {entry.name: entry.signature for entry in module.entries} == {
        "Colour": "class Colour(enum.StrEnum):\n    RED = 'red'",
        "Data": "class Data:\n    size: int\n    name: str = 'x'",
        "Plain": "class Plain(path: str, /, mode='r', *, flag: bool = False)",
        "function": "function(\n    argument: int,\n    another_argument: dict[str, list[int]],\n"
        "    a_third_one: tuple[int, ...] = (),\n) -> None",
    }
    members = {m.name: (m.kind, m.signature) for entry in module.entries for m in entry.members}
    assert members == {
        "Data.double": ("property", "double -> int"),
        "Data.make": ("method", "make(*sizes: int, **more: str) -> Data"),
        "Plain.static": ("method", "static(a, b=1)"),
    }


def test_sections_and_lists_of_a_docstring_become_lists(package: Path) -> None:
    entries = {entry.name: entry for module in read_package(package) for entry in module.entries}
    assert [(block.kind, block.text) for block in entries["Data"].blocks] == [
        ("text", "Plain data."),
        ("title", "Args"),
        ("item", "size: in bytes, never negative."),
        ("item", "name, alias: both are shown."),
        ("title", "Raises"),
        ("item", "ValueError: a size below 0."),
        ("text", "Afterwards."),
    ]
    assert [block.text for block in entries["function"].blocks] == [
        "Do it:",
        "NONE: not at all, really;",
        "SOME: a little.",
    ]


def test_what_is_left_out_is_left_out_with_all_below_it(package: Path) -> None:
    assert read_package(package, leave_out=frozenset({"pkg.things"})) == ()
    assert read_package(package, leave_out=frozenset({"pkg"})) == ()
    assert len(read_package(package, leave_out=frozenset({"pkg.thing"}))) == 1


def test_the_page_has_a_heading_for_everything_public_and_links_that_lead_there(package: Path) -> None:
    written = api_page.page(package)
    titles = [title for _, title in headings(written)]
    for name in ("pkg.things", "Colour", "Data", "Data.double", "Data.make", "Plain", "Plain.static", "function"):
        assert name in titles
    anchors = {f"#{title.replace('.', '').lower()}" for title in titles}
    assert {link for link in shape(written).links if link.startswith("#")} <= anchors
    assert "Hidden" not in text_of(written)


@settings(max_examples=60, deadline=None)
@given(hostile())
def test_no_text_of_a_docstring_changes_the_structure_of_the_page(text: str) -> None:
    plain = shape(api_page._written((Block(kind="text", text="plain"), Block(kind="item", text="plain"))))
    got = shape(api_page._written((Block(kind="text", text=text), Block(kind="item", text=text))))
    assert (got.headings, got.tables, got.html) == (plain.headings, plain.tables, plain.html)


@given(hostile())
def test_no_word_of_a_docstring_is_lost(text: str) -> None:
    found = " ".join(block.text for block in blocks(text))
    for word in text.replace("- ", " ").split():
        assert word.strip() in found or word in ("-", "Args:", "Raises:", "Returns:", "Yields:")


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/api.md").read_text("utf-8") == PAGE, "make api"


def test_every_class_and_function_says_what_it_is_for() -> None:
    silent = [f"{module.name}.{entry.name}" for module in MODULES for entry in module.entries if not entry.blocks]
    assert silent == []
    assert [module.name for module in MODULES if not module.summary] == []


def test_our_own_page_shows_every_module_and_the_names_of_the_package() -> None:
    titles = [title for _, title in headings(PAGE)]
    assert {module.name for module in MODULES} <= set(titles)
    anchors = {f"#{title.replace('.', '').lower()}" for title in titles}
    assert {link for link in shape(PAGE).links if link.startswith("#")} <= anchors
