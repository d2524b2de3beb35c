"""IMP001 and IMP002: what a build makes, a program registers, or another place brings is not called missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stages.syntax.imports.arriving import Arriving
from stages.syntax.imports.hosts import host_of
from stages.syntax.stage import STAGE
from tests.builders import run_stage
from tests.stages.syntax.imports.projects import codes, findings, judge

EXTENSIONS = """
    from setuptools import setup
    from torch.utils.cpp_extension import CppExtension, CUDAExtension
    make = CppExtension if cpu else CUDAExtension
    setup(
        name="fast",
        install_requires=["numpy"],
        ext_modules=[
            make("fast._C", ["a.cu"]),
            CUDAExtension(name="fast.ops.points", sources=sources),
            make_cuda_ext(name="pool", module="fast.ops", sources=["b.cu"]),
            CUDAExtension(f"{prefix}.ops.boxes", sources),
            kernel("top_ext", sources=["c.cu"]),
        ],
    )
"""
FINDER = """
    import sys
    class Finder:
        def find_spec(self, name, path, target=None):
            return spec(name) if name.startswith("pkg.plugins") else None
    sys.meta_path.append(Finder())
"""
REDIRECTS = "import sys\ndef redirect(old, new):\n    sys.modules[old] = new\n"
PACKAGE_DIR = 'setup(name="lab", packages=["lab", "lab.more"], package_dir={"lab": "src", "lab.more": "extra"})'
NAMED_DIR = 'WHERE = {"pkg.plugins.one": "plugins/One/one"}\nsetup(package_dir=WHERE)'
MESON = "py.extension_module('_fast', 'fast.c', subdir: 'pkg/core')\n"
CMAKE = "pybind11_add_module(_core core.cpp)\n"
NAMESPACE = 'setup(name="mine", packages=find_namespace_packages(include=["hydra_plugins.*"]))\n'
DATASETS = '[project]\nname = "cook"\nversion = "1"\ndependencies = ["datasets", "numpy"]\n'


@pytest.mark.parametrize("name", ["fast:_C", "fast.ops:points", "fast.ops:pool", "fast.ops:boxes"])
def test_an_extension_of_any_setup_script_is_a_module(tmp_path: Path, name: str) -> None:
    package, _, module = name.partition(":")
    files = {"sub/setup.py": EXTENSIONS, "sub/fast/__init__.py": "", "sub/fast/ops/__init__.py": ""}
    files["sub/fast/nms.py"] = f"from {package} import {module}\nimport {package}.{module}\n"
    files["scripts/run.py"] = "import top_ext\n"
    assert [finding for finding in judge(tmp_path, files).findings if finding.location.path != "sub/setup.py"] == []


def test_what_no_setup_script_names_is_still_missing(tmp_path: Path) -> None:
    files = {
        "sub/setup.py": EXTENSIONS,
        "sub/fast/__init__.py": "",
        "sub/fast/ops/__init__.py": "",
        "sub/fast/a.py": "from fast import _D\nfrom fast.ops import _C\n",
        "other/fast2/__init__.py": "",
        "other/fast2/a.py": "from fast2 import _C\n",
    }
    found = findings(judge(tmp_path, files), "IMP001")
    assert sorted((one.location.path, one.symbol) for one in found) == [
        ("other/fast2/a.py", "_C"),
        ("sub/fast/a.py", "_C"),
        ("sub/fast/a.py", "_D"),
    ]


@pytest.mark.parametrize(
    "files",
    [
        {
            "align/setup.py": 'setup(ext_modules=cythonize("core.pyx"))',
            "align/__init__.py": "from .align.core import f",
        },
        {"sub/CMakeLists.txt": CMAKE, "a.py": "import _core"},
        {"meson.build": MESON, "pkg/__init__.py": "", "pkg/core/__init__.py": "from ._fast import f"},
        {"sub/Makefile": "gen: made.py\n", "sub/pkg/__init__.py": "from . import made"},
    ],
    ids="+".join,
)
def test_what_a_build_makes_below_the_root_is_silent(tmp_path: Path, files: dict[str, str]) -> None:
    assert not [
        one for one in judge(tmp_path, files).findings if one.rule != "IMP004" and "setup" not in one.location.path
    ]


@pytest.mark.parametrize(
    "files",
    [
        {"pkg/__init__.py": "", "pkg/plugins/__init__.py": FINDER, "a.py": "import pkg.plugins.one"},
        {"pkg/__init__.py": "", "pkg/plugins/__init__.py": "", "pkg/find.py": FINDER, "a.py": "import pkg.plugins.one"},
        {"pkg/old/__init__.py": "", "pkg/new.py": REDIRECTS, "a.py": "NAME = 'pkg.old.x'\nimport pkg.old.x.y"},
        {"pkg/__init__.py": "", "pkg/b.py": "import sys\nsys.modules['pkg.a'] = 1", "a.py": "from pkg import a"},
    ],
    ids=["finder in the package", "finder elsewhere", "computed key", "literal key"],
)
def test_what_the_program_registers_is_silent(tmp_path: Path, files: dict[str, str]) -> None:
    assert codes(judge(tmp_path, files)) == []


def test_what_only_a_test_registers_is_still_missing(tmp_path: Path) -> None:
    stand_in = "import sys\nsys.modules['pkg.gone'] = object()\n"
    files = {"pkg/__init__.py": "", "tests/test_a.py": stand_in, "a.py": "import pkg.gone\n"}
    assert codes(judge(tmp_path, files)) == [("IMP001", "CRITICAL")]


def test_a_package_installed_under_another_name_is_followed(tmp_path: Path) -> None:
    files = {
        "setup.py": PACKAGE_DIR,
        "src/__init__.py": "",
        "src/core.py": "x = 1\n",
        "extra/__init__.py": "y = 1\n",
        "train.py": "from lab.core import x, gone\nfrom lab.more import y\nfrom lab import more, core\n",
    }
    assert [(one.rule, one.symbol) for one in judge(tmp_path, files).findings if one.location.path == "train.py"] == [
        ("IMP001", "gone")
    ]


def test_a_subpackage_that_lies_elsewhere_is_found_there(tmp_path: Path) -> None:
    files = {
        "setup.py": NAMED_DIR,
        "pkg/__init__.py": "",
        "pkg/plugins/__init__.py": "",
        "plugins/One/one/__init__.py": "x = 1\n",
        "a.py": "from pkg.plugins import one\nfrom pkg.plugins.one import x\nimport pkg.plugins.two\n",
    }
    assert [one.symbol for one in judge(tmp_path, files).findings] == ["pkg.plugins.two"]


def test_a_declared_distribution_is_meant_and_not_the_folder_above_a_package(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": DATASETS,
        "src/cook/datasets/__init__.py": "from cook.datasets.grammar import load\n",
        "src/cook/datasets/grammar.py": "from datasets import load_dataset\nload = load_dataset\n",
        "src/cook/train.py": "from cook.datasets import load\n",
    }
    outcome = judge(tmp_path, files)
    assert [finding for finding in outcome.findings if finding.severity.name not in {"INFO", "LOW"}] == []
    assert outcome.cycles == ()


def test_without_a_declaration_the_folder_above_is_meant(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": DATASETS.replace('"datasets", ', ""),
        "deep/parts/__init__.py": "",
        "deep/parts/a.py": "from parts import gone\n",
    }
    assert codes(judge(tmp_path, files)) == [("IMP001", "CRITICAL")]


def test_a_folder_beside_a_module_that_is_imported_from_above_is_not_meant(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": DATASETS,
        "main.py": "import data.loader\n",
        "data/loader.py": "from tabular.loader import x\n",
        "data/tabular/prepare.py": "",
    }
    (finding,) = judge(tmp_path, files).findings
    assert (finding.rule, finding.symbol, finding.location.path) == ("IMP002", "tabular", "data/loader.py")


@pytest.mark.parametrize(
    ("setup", "expected"),
    [
        (NAMESPACE, [("IMP001", "LOW")]),
        (NAMESPACE.replace("hydra_plugins.*", "hydra_plugins*"), [("IMP001", "CRITICAL")]),
        ('setup(name="mine", install_requires=["hydra-ours"])', []),
    ],
)
def test_a_namespace_may_be_filled_by_another_distribution(
    tmp_path: Path, setup: str, expected: list[tuple[str, str]]
) -> None:
    files = {"setup.py": setup, "hydra_plugins/mine/__init__.py": "", "hydra_plugins/mine/a.py": ""}
    files["hydra_plugins/mine/b.py"] = "from hydra_plugins.hydra_ours import x\n"
    assert codes(judge(tmp_path, files)) == expected


GITMODULES = '[submodule "v"]\n\tpath = pkg/vendor\n\turl = ../v.git\n[submodule "g"]\n\tpath = libs/glow-tts\n'


@pytest.mark.parametrize("text", ["from pkg.vendor import x", "import pkg.vendor.deep.x", "from pkg import vendor"])
def test_a_submodule_that_is_not_checked_out_is_low(tmp_path: Path, text: str) -> None:
    files = {".gitmodules": GITMODULES, "pkg/__init__.py": "", "a.py": f"{text}\n"}
    (finding,) = judge(tmp_path, files).findings
    assert (finding.rule, finding.severity.name) == ("IMP001", "LOW")
    assert "git submodule pkg/vendor is not checked out" in finding.message
    assert finding.remediation == "Check out what is missing: `git submodule update --init`."


def test_a_submodule_that_is_checked_out_is_judged(tmp_path: Path) -> None:
    files = {
        ".gitmodules": GITMODULES,
        "pkg/__init__.py": "",
        "pkg/vendor/__init__.py": "",
        "a.py": "import pkg.vendor.x",
    }
    assert codes(judge(tmp_path, files)) == [("IMP001", "CRITICAL")]


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("bpy", "Blender supplies it"),
        ("triton_python_backend_utils", "Triton Inference Server supplies it"),
        ("glow_tts", "git submodule libs/glow-tts is not checked out"),
    ],
)
def test_what_no_distribution_has_to_bring_is_low(tmp_path: Path, module: str, words: str) -> None:
    files = {".gitmodules": GITMODULES, "pyproject.toml": DATASETS, "a.py": f"import {module}\n"}
    (finding,) = findings(judge(tmp_path, files), "IMP002")
    assert finding.severity.name == "LOW"
    assert words in finding.message


def test_a_distribution_named_by_two_words_of_a_module_brings_it(tmp_path: Path) -> None:
    files = {"pyproject.toml": DATASETS.replace("numpy", "nosuchthing.core"), "a.py": "import nosuchthing.core\n"}
    assert codes(judge(tmp_path, files)) == [("IMP002", "INFO")]


def test_what_a_notebook_installs_is_declared_for_it(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(DATASETS, "utf-8")
    sources = [["!pip install -q 'nosuchthing[all]'\n"], ["import nosuchthing\n", "import nosuchother\n"]]
    cells = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": source} for source in sources]
    book = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "a.ipynb").write_text(json.dumps(book, indent=1), "utf-8")
    found = run_stage(STAGE, tmp_path, ["a.ipynb"]).findings
    severities = {finding.symbol: finding.severity.name for finding in found if finding.rule == "IMP002"}
    assert severities == {"nosuchthing": "INFO", "nosuchother": "HIGH"}


def test_what_a_declared_distribution_needs_arrives_with_it(tmp_path: Path) -> None:
    needs = {"web": ["Requires-Dist: server>=1", "Requires-Dist: extra-thing; extra == 'all'"], "server": []}
    needs["server"] = ["Requires-Dist: python-dateutil"]
    for name, lines in needs.items():
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(
            "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines])
        )
    arriving = Arriving([str(tmp_path)])
    asked = ["server", "dateutil.tz", "extra_thing", "unknown"]
    assert [arriving.with_declared(frozenset({"web"}), name) for name in asked] == ["web", "web", None, None]


def test_what_comes_with_a_declared_distribution_is_low(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Arriving, "with_declared", lambda _self, names, module: "numpy" if module == "nosuch" else None)
    outcome = judge(tmp_path, {"pyproject.toml": DATASETS, "a.py": "import nosuch\nimport nosuchother\n"})
    assert codes(outcome) == [("IMP002", "LOW"), ("IMP002", "HIGH")]
    assert "needs it" in outcome.findings[0].message


@pytest.mark.parametrize(("path", "host"), [("a.ipynb", "Jupyter"), ("jupyter_config.py", "Jupyter"), ("a.py", None)])
def test_a_notebook_is_run_by_what_it_imports(path: str, host: str | None) -> None:
    assert host_of(path, "IPython") == host
    assert host_of(path, "numpy") is None
