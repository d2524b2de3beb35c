"""The pages: every link leads somewhere, every block is what it says it is, every command and option exists."""

from __future__ import annotations

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from verifier import config_schema
from verifier.api import load_plugins
from verifier.cli import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted({*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ("README.md", "ARCHITECTURE.md"))})
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_PARSERS = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
}


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _blocks(path: Path, *languages: str) -> Iterator[str]:
    for block in _BLOCK.finditer(path.read_text("utf-8")):
        if block["language"] in languages:
            yield block["text"]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    text = _CODE.sub("", page.read_text("utf-8"))
    targets = [match["target"] for match in _LINK.finditer(text) if "://" not in match["target"]]
    paths = [page.parent / target.partition("#")[0] for target in targets if not target.startswith("#")]
    assert [str(path) for path in paths if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_block_is_what_it_says(page: Path) -> None:
    for language, parse in _PARSERS.items():
        for text in _blocks(page, language):
            parse(text)
    if page.name != "api.md":  # signatures, and no programs
        for text in _blocks(page, "python"):
            ast.parse(text)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_and_option_exists(page: Path) -> None:
    wrong = [line for text in _blocks(page, "sh", "bash") for line in text.splitlines() if not _exists(line)]
    assert wrong == []


def _exists(line: str) -> bool:
    """Say whether a line that calls verify names only commands and options that there are."""
    words = shlex.split(line, comments=True)
    if not words or words[0] != "verify":
        return True
    known = cli.commands.get(words[1], cli.commands["task"])
    if known.name == "run":  # what follows the script is its own
        script = next((at for at, word in enumerate(words) if word.endswith(".py") or word == "-m"), len(words))
        words = words[:script]
    options = {name for parameter in known.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options |= {"--version", "--help"}
    return all(word.partition("=")[0] in options for word in words[1:] if re.match(r"-{1,2}[a-z]", word))


def test_the_site_has_every_page_and_only_those() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))
    named = set(_named(site["nav"]))
    assert [name for name in named if not (ROOT / "docs" / name).is_file()] == []
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    assert "index.md" in named
    assert named - {"rules/README.md"} <= pages


def _named(entry: object) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, dict):
        for value in entry.values():
            yield from _named(value)
    elif isinstance(entry, list):
        for value in entry:
            yield from _named(value)


def test_the_configuration_page_is_made_of_the_schema() -> None:
    page = (ROOT / "docs/configuration.md").read_text("utf-8")
    assert page == config_schema.as_page(), "verify schema --format md > docs/configuration.md"


def test_every_format_that_a_recipe_names_is_built() -> None:
    known = load_plugins().renderers
    texts = [(ROOT / name).read_text("utf-8") for name in ("action.yml", "templates/gitlab.yml", "docs/ci.md")]
    used = {name for text in texts for listed in re.findall(r"(?:--format|default:) (md,[\w,-]+)", text)
            for name in listed.split(",")}  # fmt: skip
    assert used
    assert used <= set(known)
