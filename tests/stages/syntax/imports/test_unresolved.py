"""IMP001 and IMP002: what is missing is found once, with the right severity, and nothing that works is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stages.syntax.imports.projects import codes, findings, judge
from verifier.api import Severity

DECLARES_NOTHING_OF_IT = '[project]\nname = "p"\nversion = "1"\ndependencies = ["numpy"]\n'


def severities(root: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    return codes(judge(root, files))


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("import pkg.gone", "CRITICAL"),
        ("from pkg import gone", "CRITICAL"),
        ("from pkg.here import gone", "CRITICAL"),
        ("def f():\n    from pkg.here import gone", "CRITICAL"),
        ("import pkg.here.deeper", "CRITICAL"),
        ("try:\n    import pkg.gone\nexcept ImportError:\n    pass", "LOW"),
        ("try:\n    from pkg.here import gone\nexcept Exception:\n    gone = None", "LOW"),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.here import Gone", "LOW"),
        ("import sys\nsys.path.append('lib')\nimport pkg.gone", "LOW"),
    ],
)
def test_severity_of_a_missing_project_import(tmp_path: Path, text: str, severity: str) -> None:
    files = {"pkg/__init__.py": "", "pkg/here.py": "x = 1\n", "main.py": text + "\n"}
    assert severities(tmp_path, files) == [("IMP001", severity)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from pkg.gone import x\n", "the test module cannot be collected"),
        ("def test_x():\n    from pkg.gone import x\n", "the test that imports it fails"),
    ],
)
def test_what_only_tests_import_is_medium_and_says_what_breaks(tmp_path: Path, text: str, words: str) -> None:
    outcome = judge(tmp_path, {"pkg/__init__.py": "", "tests/test_pkg.py": text})
    assert codes(outcome) == [("IMP001", "MEDIUM")]
    assert outcome.findings[0].message.endswith(words)


def test_one_missing_target_is_one_finding_with_all_its_places(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "a.py": "import pkg.gone\n", "tests/test_a.py": "\nfrom pkg.gone import x\n"}
    (finding,) = judge(tmp_path, files).findings
    assert (finding.severity, finding.location.path) == (Severity.CRITICAL, "a.py")
    assert [(place.location.path, place.location.line) for place in finding.related] == [("tests/test_a.py", 2)]


def test_a_relative_import_above_every_package_is_reported(tmp_path: Path) -> None:
    outcome = judge(
        tmp_path, {"pkg/__init__.py": "", "pkg/a.py": "from ...other import x\n", "main.py": "from . import pkg\n"}
    )
    assert codes(outcome) == [("IMP001", "CRITICAL")] * 2
    assert all("beyond top-level" in finding.message for finding in outcome.findings)


PATH_CHANGED = "from pkgutil import extend_path\n__path__ = extend_path(__path__, __name__)\n"
SCM = '[tool.setuptools_scm]\nversion_file = "pkg/_version.py"\n'
PYTHONPATH = "[tool.pytest.ini_options]\npythonpath = ['lib']\n"
RESOLVES: list[dict[str, str]] = [
    {
        "utils/training/loop.py": "x = 1",
        "main.py": "from utils.training import loop\nfrom utils.training.loop import x",
    },
    {"src/pkg/__init__.py": "x = 1", "src/pkg/a.py": "from pkg import x", "tests/test_a.py": "from pkg.a import x"},
    {"scripts/train.py": "import helper", "scripts/helper.py": ""},
    {"deep/pkg/__init__.py": "", "deep/pkg/a.py": "from pkg import b\nfrom . import b", "deep/pkg/b.py": ""},
    {"pkg/__init__.py": "def __getattr__(name):\n    return name", "a.py": "from pkg import anything"},
    {"pkg/__init__.py": "globals().update(made=1)", "a.py": "from pkg import made"},
    {"pkg/__init__.py": "from .a import *", "pkg/a.py": "x = 1", "b.py": "from pkg import x"},
    {"pkg/__init__.py": "from math import *", "b.py": "from pkg import sqrt"},
    {"pkg/__init__.py": PATH_CHANGED, "b.py": "from pkg import plugin"},
    {"pkg/__init__.py": "", "pkg/core.pyx": "", "b.py": "from pkg.core import fast\nfrom pkg import core"},
    {"pkg/__init__.py": "", "setup.py": "Extension('pkg._C', ['a.cpp'])", "b.py": "from pkg import _C"},
    {"pkg/__init__.py": "", "pkg/api.proto": "", "b.py": "from pkg import api_pb2, api_pb2_grpc"},
    {"pkg/__init__.py": "from ._version import v", "pyproject.toml": SCM},
    {"conf.py": "x = 1", "main.py": "import conf\nfrom conf import x, __name__, __file__"},
    {"conf.py": "x = None", "other.py": "import conf\nconf.y = 2", "main.py": "from conf import y"},
    {"conf.py": "def f():\n    global late\n    late = 1", "main.py": "from conf import late"},
    {"tests/helpers/make.py": "x = 1", "tests/conftest.py": "", "tests/unit/test_a.py": "from helpers.make import x"},
    {"pkg/__init__.py": "", "main.py": "import sys\nif sys.version_info < (3, 0):\n    from pkg import gone"},
    {"lib/tool.py": "", "pyproject.toml": PYTHONPATH, "tests/test_a.py": "import tool"},
    {"bad.py": "def (", "main.py": "from bad import anything"},
    {"pkg/__init__.pyi": "", "pkg/__init__.py": "x: int = 1", "main.py": "from pkg import x"},
]


@pytest.mark.parametrize("files", RESOLVES, ids="+".join)
def test_what_resolves_is_silent(tmp_path: Path, files: dict[str, str]) -> None:
    assert [finding for finding in judge(tmp_path, files).findings if finding.rule in {"IMP001", "IMP002"}] == []


@pytest.mark.parametrize(
    ("text", "metadata", "severity"),
    [
        ("import nosuchthing", DECLARES_NOTHING_OF_IT, "HIGH"),
        ("import nosuchthing", None, "LOW"),
        ("import nosuchthing", DECLARES_NOTHING_OF_IT.replace("numpy", "nosuchthing>=2"), "INFO"),
        ("import nosuchthing", DECLARES_NOTHING_OF_IT.replace("numpy", "python-nosuchthing"), "INFO"),
        ("import no_such.thing", DECLARES_NOTHING_OF_IT.replace("numpy", "No.Such"), "INFO"),
        ("try:\n    import nosuchthing\nexcept ImportError:\n    pass", DECLARES_NOTHING_OF_IT, "INFO"),
        ("if nosuchthing_available():\n    import nosuchthing", DECLARES_NOTHING_OF_IT, "INFO"),
        ("import torch.nn.nosuchthing", DECLARES_NOTHING_OF_IT, "HIGH"),
    ],
)
def test_severity_of_a_missing_external_import(tmp_path: Path, text: str, metadata: str | None, severity: str) -> None:
    files = {"main.py": text + "\n"} | ({"pyproject.toml": metadata} if metadata else {})
    assert severities(tmp_path, files) == [("IMP002", severity)]


def test_a_lazy_import_of_what_the_project_asks_for_elsewhere_is_optional(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": DECLARES_NOTHING_OF_IT,
        "checks.py": "import importlib.util\nHAS = importlib.util.find_spec('nosuchthing')\n",
        "main.py": "def f():\n    import nosuchthing\n",
    }
    assert severities(tmp_path, files) == [("IMP002", "INFO")]


def test_inline_script_metadata_declares_for_its_file_only(tmp_path: Path) -> None:
    header = "# /// script\n# dependencies = ['nosuchthing']\n# ///\n"
    files = {"a.py": header + "import nosuchthing\n"}
    assert severities(tmp_path, files) == [("IMP002", "INFO")]


def test_modules_of_our_own_installation_stay_invisible(tmp_path: Path) -> None:
    outcome = judge(tmp_path, {"main.py": "import stages.syntax\nimport reports\n"})
    assert sorted(finding.symbol or "" for finding in findings(outcome, "IMP002")) == ["reports", "stages"]


def test_a_project_may_have_folders_named_like_ours(tmp_path: Path) -> None:
    assert severities(tmp_path, {"stages/__init__.py": "x = 1\n", "main.py": "from stages import x\n"}) == []


def test_a_folder_without_python_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "nosuchthing").mkdir()
    (tmp_path / "nosuchthing" / "run.log").write_text("", "utf-8")
    assert severities(tmp_path, {"main.py": "import nosuchthing\n"}) == [("IMP002", "LOW")]


def test_an_installed_package_wins_over_a_folder_without_init(tmp_path: Path) -> None:
    files = {"torch/tool.py": "", "main.py": "from torch import nn\nimport torch.optim\n"}
    assert severities(tmp_path, files) == []


def test_an_unselected_file_still_exists(tmp_path: Path) -> None:
    files = {"pkg/__init__.py": "", "pkg/other.py": "x = 1\n", "main.py": "from pkg.other import x, y\n"}
    (finding,) = judge(tmp_path, files, only=["main.py"]).findings
    assert (finding.rule, finding.symbol) == ("IMP001", "y")


def test_an_installed_copy_of_the_project_does_not_hide_what_is_missing_here(tmp_path: Path) -> None:
    files = {"networkx/__init__.py": "", "main.py": "import networkx.algorithms\nfrom networkx import DiGraph\n"}
    assert severities(tmp_path, files) == [("IMP001", "CRITICAL")] * 2


def test_a_file_named_like_a_library_in_a_folder_that_is_no_root_hides_nothing(tmp_path: Path) -> None:
    files = {"tools/logging.py": "import logging\nfrom logging import getLogger\n", "main.py": "import tools.logging\n"}
    assert severities(tmp_path, files) == []


def test_a_plugin_in_a_namespace_package_may_have_the_name_of_what_it_imports(tmp_path: Path) -> None:
    files = {
        "plugins/setup.py": "",
        "plugins/acme/__init__.py": "",
        "plugins/acme/core.py": "x = 1\n",
        "plugins/space/acme/__init__.py": "from acme.core import x\nimport acme\n",
    }
    assert severities(tmp_path, files) == []
