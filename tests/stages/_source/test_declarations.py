"""What each requirement of a project is for, in every place where one can stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages._source.declarations import Declarations, declarations_in


def stated(root: Path, files: dict[str, str]) -> Declarations:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    return declarations_in(root)


def roles(found: Declarations) -> set[tuple[str, str, str]]:
    return {(item.name, item.role, item.group) for item in found.requirements}


@pytest.mark.parametrize(
    ("name", "content", "role"),
    [
        ("pyproject.toml", "[project]\nname = 'x'\ndependencies = ['a']", ("a", "runtime", "")),
        ("pyproject.toml", "[project.optional-dependencies]\naudio = ['a']", ("a", "extra", "audio")),
        ("pyproject.toml", "[dependency-groups]\ndev = ['a']", ("a", "development", "dev")),
        ("pyproject.toml", "[build-system]\nrequires = ['a']", ("a", "build", "")),
        ("pyproject.toml", "[tool.poetry.dependencies]\na = '^1'", ("a", "runtime", "")),
        ("pyproject.toml", "[tool.poetry.dependencies]\na = {version = '1', optional = true}", ("a", "extra", "")),
        ("pyproject.toml", "[tool.poetry.group.dev.dependencies]\na = '1'", ("a", "development", "dev")),
        ("pyproject.toml", "[tool.pdm.dev-dependencies]\ntest = ['a']", ("a", "development", "test")),
        ("pyproject.toml", "[tool.uv]\ndev-dependencies = ['a']", ("a", "development", "dev")),
        ("pyproject.toml", "[tool.hatch.envs.docs]\nextra-dependencies = ['a']", ("a", "development", "docs")),
        ("setup.cfg", "[options]\ninstall_requires =\n    a>=1", ("a", "runtime", "")),
        ("setup.cfg", "[options]\ntests_require = a", ("a", "development", "")),
        ("setup.cfg", "[options.extras_require]\ndev = a", ("a", "extra", "dev")),
        ("setup.py", "setup(install_requires=['a'])", ("a", "runtime", "")),
        ("setup.py", "needs = ['a']\nsetup(install_requires=needs)", ("a", "runtime", "")),
        ("setup.py", "setup(extras_require={'dev': ['a']})", ("a", "extra", "dev")),
        ("setup.py", "extras = {}\nextras['dev'] = ['a']\nsetup(extras_require=extras)", ("a", "unknown", "")),
        ("setup.py", "needs = ['a']\nneeds.append('b')\nsetup(install_requires=needs)", ("a", "unknown", "")),
        ("requirements.txt", "a", ("a", "listed", "")),
        ("requirements-dev.txt", "a", ("a", "development", "")),
        ("requirements/docs.txt", "a", ("a", "development", "")),
        ("environment.yml", "dependencies:\n  - a=1", ("a", "listed", "")),
        ("Pipfile", "[dev-packages]\na = '*'", ("a", "development", "")),
    ],
)  # fmt: skip
def test_every_place_says_what_a_requirement_is_for(
    tmp_path: Path, name: str, content: str, role: tuple[str, str, str]
) -> None:
    found = stated(tmp_path, {name: content})
    assert role in roles(found)
    assert {item.role for item in found.requirements if item.name == role[0]} == {role[1]}
    assert {item.file for item in found.requirements if item.name == role[0]} == {name}


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[project]\nname='x'\ndynamic=['dependencies']\n[tool.setuptools.dynamic]\n"
                           "dependencies = {file = ['needs/main.txt']}", "needs/main.txt": "a>=1\n"},
        {"setup.cfg": "[options]\ninstall_requires = file: needs/main.txt", "needs/main.txt": "a>=1\n"},
    ],
)  # fmt: skip
def test_requirements_that_metadata_takes_from_a_file_are_of_the_installation(
    tmp_path: Path, files: dict[str, str]
) -> None:
    found = stated(tmp_path, files)
    assert roles(found) == {("a", "runtime", "")}
    assert found.installs


@pytest.mark.parametrize(
    ("name", "content", "installs"),
    [
        ("pyproject.toml", "[project]\nname = 'x'", True),
        ("pyproject.toml", "[project]\nname = 'x'\ndynamic = ['dependencies']", False),
        ("pyproject.toml", "[tool.ruff]\nline-length = 100", False),
        ("setup.py", "setup(name='x', install_requires=[])", True),
        ("setup.py", "setup(name='x')", False),
        ("setup.py", "setup(name='x', install_requires=read())", False),
        ("requirements.txt", "a", False),
    ],
)
def test_whether_an_installation_is_fully_stated(tmp_path: Path, name: str, content: str, installs: bool) -> None:
    assert stated(tmp_path, {name: content}).installs is installs


def test_pins_markers_and_extras_are_kept(tmp_path: Path) -> None:
    text = "a==1.2\nb[x, Y_z]>=1\nc; python_version < '3'\n"
    found = {item.name: item for item in stated(tmp_path, {"requirements.txt": text}).requirements}
    assert [found[name].pinned for name in "abc"] == [True, False, False]
    assert [found[name].conditional for name in "abc"] == [False, False, True]
    assert found["b"].extras == ("x", "y-z")


def test_the_distribution_is_named(tmp_path: Path) -> None:
    assert stated(tmp_path, {"setup.py": "setup(name='My_Thing')"}).name == "my-thing"
