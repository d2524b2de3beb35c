"""Which versions of torch a project asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stages._source.versions import TorchVersions

if TYPE_CHECKING:
    from pathlib import Path

    from stages._source.versions import Version


@pytest.mark.parametrize(
    ("text", "least", "before"),
    [
        ("torch>=2.1", (2, 1), None),
        ("torch>=1.13,<2.4", (1, 13), (2, 4)),
        ("torch==2.0.1", (2, 0, 1), (2, 0, 2)),
        ("torch~=2.1.0", (2, 1, 0), (2, 2)),
        ("torch~=2.1", (2, 1), (3,)),
        ("torch[opt]>=2.2 ; python_version > '3.8'", None, None),
        ("torch", None, None),
        ("torchvision>=0.15", None, None),
        ("torch!=2.0", None, None),
    ],
)
def test_a_requirement_bounds_what_it_says(
    text: str, least: Version | None, before: Version | None, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text(f"numpy\n{text}\n")
    found = TorchVersions(tmp_path).of("pkg/train.py")
    assert (found.least, found.before) == (least, before)


def test_a_folder_narrows_what_the_folders_above_say(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "x"\ndependencies = ["torch>=1.10"]\n')
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "requirements.txt").write_text("torch>=2.4\n")
    versions = TorchVersions(tmp_path)
    assert versions.of("x/a.py").least == (1, 10)
    assert versions.of("examples/a.py").least == (2, 4)
    assert versions.of("examples/a.py").said == "torch>=2.4"


def test_a_poetry_table_is_read(tmp_path: Path) -> None:
    text = '[tool.poetry.dependencies]\npython = "^3.10"\ntorch = { version = "^2.1", optional = false }\n'
    (tmp_path / "pyproject.toml").write_text(text)
    found = TorchVersions(tmp_path).of("a.py")
    assert (found.least, found.before) == ((2, 1), (3,))


def test_without_a_folder_nothing_is_known() -> None:
    assert TorchVersions().of("a.py").least is None
