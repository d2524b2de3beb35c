"""What installers would refuse in a pyproject.toml is one clear sentence at its line."""

from __future__ import annotations

import socket
import tomllib

import pytest

from stages.syntax.configuration.pyproject import Invalid, judge

HEAD = '[project]\nname = "x"\nversion = "1"\n'


def judged(text: str) -> Invalid | None:
    return judge(tomllib.loads(text), text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[tool.poetry]\nname = 3\n[tool.x.y]\nanything = true\n",
        HEAD,
        HEAD + 'classifiers = ["Of :: Our :: Own"]\n',
        HEAD + 'license = "Apache-2.0"\nlicense-files = ["LICENSE"]\n',
        HEAD + 'license = {text = "MIT"}\nreadme = "README.md"\n',
        HEAD + 'dependencies = ["torch>=2.4 ; python_version > \'3.10\'", "a @ git+https://example.org/a"]\n',
        '[project]\nname = "x"\ndynamic = ["version"]\n[build-system]\nrequires = ["setuptools"]\n',
        "[dependency-groups]\na = ['b', {include-group = 'c'}]\nc = []\n",
    ],
)
def test_what_the_standards_allow_is_silent(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize(
    ("text", "sentence", "line"),
    [
        ('[project]\nname = "x"\n', "`project` lacks `version` (nor is it listed under `dynamic`)", 1),
        (HEAD + "dependancies = []\n", "`project` has `dependancies`, which the standard does not know", 4),
        (HEAD + 'dependencies = "torch"\n', '`project.dependencies` must be an array, and is "torch"', 4),
        (
            HEAD + 'dependencies = [\n"a",\n"torch >== 2"]\n',
            '`project.dependencies[1]` is "torch >== 2", which is no valid requirement (PEP 508)',
            4,
        ),
        (
            '[project]\nname = "x y"\nversion = "1"\n',
            '`project.name` is "x y", which is no valid name: letters, digits, `.`, `_` and `-`, '
            "a letter or digit at each end",
            2,
        ),
        (
            '[project]\nname = "x"\nversion = "one"\n',
            '`project.version` is "one", which is no valid version (PEP 440)',
            3,
        ),
        ('[build-system]\nbuild-backend = "b"\n', "`build-system` lacks `requires`", 1),
        (
            HEAD + 'license = "Apache 2"\n',
            '`project.license` is "Apache 2", which has none of the forms that the standard allows',
            4,
        ),
        (
            HEAD + 'dynamic = ["version"]\n',
            "You cannot provide a value for `project.version` and list it under `project.dynamic` at the same time",
            3,
        ),
        ("[dependency-groups]\na = [{include-group = 'b'}]\n", "The included dependency group b doesn't exist", 2),
    ],
)
def test_what_they_forbid_is_one_sentence_at_its_line(text: str, sentence: str, line: int) -> None:
    found = judged(text)
    assert found is not None
    assert (found.message, found.line) == (sentence, line)


def test_nothing_is_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket, "socket", refuse)
    assert judged(HEAD + 'classifiers = ["Nobody :: Knows"]\n[project.urls]\nHome = "somewhere"\n') is None
