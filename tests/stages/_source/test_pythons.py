from __future__ import annotations

from pathlib import Path

import pytest

from stages._source.pythons import oldest_admitted, supported_pythons


@pytest.mark.parametrize(
    ("specifier", "oldest"),
    [
        (">=3.12", 12),
        (" >= 3.9 , < 4 ", 9),
        (">=3.8,!=3.8.*,!=3.9.*", 10),
        (">=3.8,!=3.8.1", 8),
        (">3.11", 12),
        (">3.11.4", 11),
        ("~=3.12", 12),
        ("~=3.12.3", 12),
        ("==3.13.*", 13),
        ("^3.12", 12),
        (">=3.10 <3.13", 10),
        ("^3.12 || ^3.10", 10),
        ("<3.13", 0),
        ("3.13", 13),
        ("", None),
        (">=2.7", None),
        ("newest", None),
        (">=3.13,<3.12", None),
    ],
)
def test_the_oldest_admitted_python_is_read_from_a_specifier(specifier: str, oldest: int | None) -> None:
    assert oldest_admitted(specifier) == oldest


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", '[project]\nrequires-python = ">=3.12"\n'),
        ("pyproject.toml", '[tool.poetry.dependencies]\npython = "^3.12"\n'),
        ("pyproject.toml", '[project]\nclassifiers = ["Programming Language :: Python :: 3.12", "Typing :: Typed"]\n'),
        ("setup.cfg", "[options]\npython_requires = >=3.12\n"),
        ("setup.py", "from setuptools import setup\nsetup(name='x', python_requires='>=3.12')\n"),
        ("setup.py", "OLDEST = '~=3.12'\nsetup(**{}, python_requires=OLDEST)\n"),
        ("setup.cfg", "[metadata]\nclassifiers =\n    Programming Language :: Python :: 3.13\n"
                      "    Programming Language :: Python :: 3.12\n"),
    ],
)  # fmt: skip
def test_every_place_of_the_metadata_is_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    supported = supported_pythons(tmp_path, "pkg/a.py")
    assert supported is not None
    assert supported.oldest == 12


def test_the_nearest_metadata_counts(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.9"\n', "utf-8")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "pyproject.toml").write_text('[project]\nrequires-python = ">=3.14"\n', "utf-8")
    oldest = {path: supported_pythons(tmp_path, path) for path in ("a.py", "new/src/a.py", "other/a.py")}
    assert {path: found.oldest for path, found in oldest.items() if found} == {
        "a.py": 9, "new/src/a.py": 14, "other/a.py": 9,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "[project\n", "[project]\nrequires-python = 3\n", "project = 1\n"])
def test_metadata_that_says_nothing_supports_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text, "utf-8")
    (tmp_path / "setup.cfg").write_text("no section\n", "utf-8")
    assert supported_pythons(tmp_path, "a.py") is None


@pytest.mark.parametrize("value", ["oldest()", "OLDEST", "3.12", "f'>={x}'"])
def test_what_a_setup_script_computes_is_not_guessed(tmp_path: Path, value: str) -> None:
    (tmp_path / "setup.py").write_text(f"setup(python_requires={value})\n", "utf-8")
    assert supported_pythons(tmp_path, "a.py") is None
