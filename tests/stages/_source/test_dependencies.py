"""What projects declare, in every place they do."""

from __future__ import annotations

from pathlib import Path

import pytest

from stages._source.dependencies import Declared, Dependencies
from stages._source.requirements import normalise


def declared(root: Path, files: dict[str, str], path: str = "main.py", text: str = "") -> Declared:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, "utf-8")
    return Dependencies(root).declared_for(path, text)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pyproject.toml", "[project]\ndependencies = ['Some_Thing>=1; python_version>\"3\"']"),
        ("pyproject.toml", "[project.optional-dependencies]\nx = ['some.thing[extra]~=2']"),
        ("pyproject.toml", "[dependency-groups]\ndev = ['some-thing', {include-group = 'x'}]"),
        ("pyproject.toml", "[tool.poetry.dependencies]\npython = '^3.9'\nsome-thing = '^1'"),
        ("pyproject.toml", "[tool.poetry.group.dev.dependencies]\nsome-thing = {version = '1', optional = true}"),
        ("pyproject.toml", "[tool.hatch.envs.test]\ndependencies = ['some-thing']"),
        ("setup.cfg", "[options]\ninstall_requires =\n    some-thing>=1\n    other"),
        ("setup.cfg", "[options.extras_require]\ndev = some-thing"),
        ("setup.py", "from setuptools import setup\nsetup(install_requires=['some-thing>=1'])"),
        ("setup.py", "deps = {'x': ['some-thing']}\nsetup(extras_require=deps)"),
        ("requirements.txt", "# comment\n-r other.txt\nsome-thing==1.0  # why\n"),
        ("requirements-dev.txt", "some_thing @ https://example.org/some.whl"),
        ("requirements/test.txt", "some-thing"),
        ("requirements.txt", "git+https://example.org/team/some-thing.git@main"),
        ("requirements.txt", "-e git+https://example.org/team/x.git#egg=some-thing"),
        ("environment.yml", "dependencies:\n  - python=3.9\n  - conda-forge::some-thing=1\n  - pip:\n    - other"),
        ("Pipfile", "[packages]\nsome-thing = '*'"),
    ],
)
def test_declarations_are_found(tmp_path: Path, name: str, content: str) -> None:
    assert declared(tmp_path, {name: content}).brings("some_thing")


@pytest.mark.parametrize(
    ("module", "distribution"),
    [
        ("PIL.Image", "Pillow"), ("cv2", "opencv-python-headless"), ("sklearn.svm", "scikit-learn"), ("yaml", "PyYAML"),
        ("skimage", "scikit-image"), ("google.cloud.storage", "google-cloud-storage"), ("bs4", "beautifulsoup4"),
        ("dateutil", "python-dateutil"), ("torch", "torch"), ("umap", "umap-learn"), ("serial", "pyserial"),
        ("monai.data", "monai-weekly"), ("rdkit", "rdkit-pypi"), ("vtkmodules", "vtk"),
        ("parselmouth", "praat-parselmouth"),
    ],
)  # fmt: skip
def test_import_names_that_differ_from_their_distribution(module: str, distribution: str) -> None:
    assert Declared(frozenset({normalise(distribution)})).brings(module)


def test_a_distribution_brings_nothing_else() -> None:
    assert not Declared(frozenset({"torchvision"})).brings("torch")


def test_requirements_count_for_the_folders_below_them(tmp_path: Path) -> None:
    files = {"examples/a/requirements.txt": "some-thing", "requirements.txt": "other"}
    assert declared(tmp_path, files, "examples/a/run.py").names == {"some-thing", "other"}
    assert declared(tmp_path, files, "examples/b/run.py").names == {"other"}


def test_computed_dependencies_are_said_to_be_incomplete(tmp_path: Path) -> None:
    assert not declared(tmp_path, {"setup.py": "setup(install_requires=read('x'))"}).complete


@pytest.mark.parametrize("content", ["[project", "\0", "a" * 500_000])
def test_unreadable_metadata_declares_nothing(tmp_path: Path, content: str) -> None:
    assert declared(tmp_path, {"pyproject.toml": content, "setup.cfg": content}).names == frozenset()
