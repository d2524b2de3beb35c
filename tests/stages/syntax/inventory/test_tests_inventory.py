"""Which tests a file holds, how often each runs, and what keeps it from running."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import syntax_facts


def rows(source: str, path: str = "tests/test_a", **more: str):
    return [row for row in syntax_facts({path: source, **more})["tests"] if row["path"] == f"{path}.py"]


def only(source: str, **more: str):
    (row,) = rows(source, **more)
    return row


def test_a_plain_test_is_one_case():
    assert only("def test_a(tmp_path): ...") == {
        "path": "tests/test_a.py",
        "line": 1,
        "class": None,
        "name": "test_a",
        "parameters": 1,
        "skip": None,
        "fixtures": ["tmp_path"],
        "mocks": [],
    }


SIXTEEN = """
import pytest
class TestPrecision:
    @pytest.mark.parametrize("requested", ["16", "32"])
    @pytest.mark.parametrize("use_amp", [True, False])
    @pytest.mark.parametrize(("cuda", "gpu"), [(a, b) for a in (True, False) for b in (True, False)])
    def test_all(self, requested, use_amp, cuda, gpu): ...
"""


def test_stacked_parametrisation_multiplies():
    assert only(SIXTEEN)["parameters"] == 16
    assert only(SIXTEEN)["fixtures"] == []


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ("[1, 2, 3]", 3),
        ("range(2, 8, 2)", 3),
        ("itertools.product([1, 2], repeat=4)", 16),
        ("list(product((True, False), 'abc'))", 6),
        ("CASES", 2),
        ("[*CASES, 3]", 3),
        ("CASES + [1]", 3),
        ("{'a': 1, 'b': 2}.items()", 2),
        ("zip([1, 2, 3], [1, 2])", 2),
        ("[pytest.param(1, marks=pytest.mark.slow), 2]", 2),
        ("[x for x in CASES if x]", None),
        ("load()", None),
    ],
)
def test_values_are_counted_where_they_are_written_out(values, count):
    source = "import itertools, pytest\nfrom itertools import product\nCASES = [1, 2]\n"
    assert only(f"{source}@pytest.mark.parametrize('x', {values})\ndef test_a(x): ...")["parameters"] == count


def test_marks_of_the_class_and_of_the_module_count():
    source = """
import pytest
pytestmark = [pytest.mark.parametrize("a", [1, 2])]
@pytest.mark.parametrize("b", [1, 2, 3])
class TestX:
    pytestmark = pytest.mark.skipif(True, reason="not here")
    def test_a(self, a, b): ...
"""
    assert (only(source)["parameters"], only(source)["skip"]) == (6, "if True: not here")


def test_a_parametrised_fixture_multiplies_the_tests_that_use_it():
    source = "def test_a(device): ...\ndef test_b(model): ...\ndef test_c(): ..."
    conftest = """
import pytest
@pytest.fixture(params=["cpu", "cuda"])
def device(request): ...
@pytest.fixture
def model(device): ...
"""
    assert [row["parameters"] for row in rows(source, **{"tests/conftest": conftest})] == [2, 2, 1]
    assert [row["parameters"] for row in rows(source, **{"other/conftest": conftest})] == [1, 1, 1]


@pytest.mark.parametrize(
    ("mark", "skip"),
    [
        ("@pytest.mark.skip(reason='broken')", "always: broken"),
        ("@pytest.mark.skip", "always"),
        ("@pytest.mark.skipif(not cuda(), reason='needs CUDA')", "if not cuda(): needs CUDA"),
        ("@needs_cuda", "if not cuda(): needs CUDA"),
        ("@unittest.skipUnless(cuda(), 'needs CUDA')", "unless cuda(): needs CUDA"),
        ("@skip_here('x')", "unless cuda(): needs CUDA"),
        ("@require_gpu", "decided by @require_gpu"),
        ("@pytest.mark.slow", None),
    ],
)
def test_skips_are_told_with_their_condition_and_reason(mark, skip):
    source = f"""
import pytest, unittest
from elsewhere import cuda, require_gpu
needs_cuda = pytest.mark.skipif(not cuda(), reason="needs CUDA")
def skip_here(case):
    return unittest.skipUnless(cuda(), "needs CUDA")(case)
{mark}
def test_a(): ...
"""
    assert only(source)["skip"] == skip


def test_skips_inside_the_body_and_missing_modules_are_told():
    source = "import pytest\npytest.importorskip('wandb')\ndef test_a():\n    pytest.skip('later')"
    assert only(source)["skip"] == "if 'wandb' cannot be imported; in its body: later"


def test_unittest_classes_are_known_by_their_base_and_pytest_classes_by_their_name():
    source = """
import unittest
class Works(unittest.TestCase):
    def test_a(self): ...
class TestB:
    def test_b(self): ...
    def helper(self): ...
class TestNot:
    def __init__(self): ...
    def test_c(self): ...
class Other:
    def test_d(self): ...
"""
    assert [(row["class"], row["name"]) for row in rows(source)] == [("Works", "test_a"), ("TestB", "test_b")]


def test_inherited_tests_are_run_by_every_class_that_inherits_them():
    source = (
        "class Base:\n  def test_a(self): ...\nclass TestOne(Base): ...\nclass TestTwo(Base):\n  def test_a(self): ..."
    )
    assert [(row["class"], row["line"]) for row in rows(source)] == [("TestOne", 3), ("TestTwo", 5)]


def test_mocks_and_injected_arguments_are_told_apart_from_fixtures():
    source = """
from unittest import mock
from unittest.mock import MagicMock
class MockTrainer: ...
@mock.patch("pkg.wandb")
@mock.patch.object(MockTrainer, "fit")
def test_a(fit, wandb, monkeypatch):
    MockTrainer(), MagicMock()
"""
    row = only(source)
    assert row["fixtures"] == ["monkeypatch"]
    assert row["mocks"] == ["MagicMock", "MockTrainer", "patch pkg.wandb", "patch.object"]


@pytest.mark.parametrize("path", ["tests/helpers", "testing", "tests/conftest", "test"])
def test_only_files_that_pytest_collects_are_read(path):
    assert rows("def test_a(): ...", path) == []


def test_a_function_named_like_a_test_elsewhere_is_told_with_who_collects_it():
    facts = syntax_facts(
        {
            "lib/tier3": "def test_fine_tuning(model): ...\ndef testing(): ...",
            "lib/again": "from lib.tier3 import test_fine_tuning",
            "tests/test_a": "from lib.again import test_fine_tuning\ndef test_b(): ...",
            "tests/test_b": "from lib import tier3",
            "tests/test_c": "from lib.tier3 import test_fine_tuning as fine_tuning",
        }
    )
    assert facts["misnamed_tests"] == [
        {
            "path": "lib/tier3.py",
            "line": 1,
            "name": "test_fine_tuning",
            "collected_by": ["tests/test_a.py"],
            "note": "pytest collects it as a test in tests/test_a.py, which imports it",
        }
    ]


def test_the_count_is_what_pytest_collects(tmp_path: Path):
    """pytest itself is the judge of how many cases there are."""
    source = SIXTEEN + "@pytest.fixture(params=[1, 2])\ndef two(request): return 1\ndef test_two(two): ...\n"
    source += "class TestMore(TestPrecision):\n    def test_own(self, two): ...\n"
    (tmp_path / "test_a.py").write_text(source, "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "test_a.py"]
    listed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60).stdout
    collected = sum("::" in line for line in listed.splitlines())
    assert collected == sum(row["parameters"] for row in rows(source, "test_a"))
