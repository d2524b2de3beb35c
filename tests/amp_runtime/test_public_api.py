"""The names of `amp_runtime` itself: the three lists of them agree, and asking for one is what loads it."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import amp_runtime

SOURCE = Path(amp_runtime.__file__)


def for_type_checkers():
    """Name and module of everything that is imported under TYPE_CHECKING."""
    (block,) = [node for node in ast.parse(SOURCE.read_text("utf-8")).body if isinstance(node, ast.If)]
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_what_type_checkers_see_is_what_is_loaded_and_listed():
    assert {f"amp_runtime.{home}" for home in amp_runtime._HOME_OF.values()} == set(for_type_checkers().values())
    assert {name: f"amp_runtime.{home}" for name, home in amp_runtime._HOME_OF.items()} == for_type_checkers()
    assert sorted(amp_runtime.__all__) == sorted(amp_runtime._HOME_OF)


@pytest.mark.parametrize("name", amp_runtime.__all__)
def test_every_name_is_there_and_is_the_one_of_its_module(name):
    module = importlib.import_module(f"amp_runtime.{amp_runtime._HOME_OF[name]}")
    assert getattr(amp_runtime, name) is getattr(module, name)
    assert name in dir(amp_runtime)


def test_a_name_that_is_not_there_is_an_attribute_error_as_anywhere():
    with pytest.raises(AttributeError, match="module 'amp_runtime' has no attribute 'TrainingSteps'"):
        _ = amp_runtime.TrainingSteps
    with pytest.raises(ImportError):
        exec("from amp_runtime import nothing_of_that_name")


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_importing_the_package_loads_nothing_of_it_and_no_torch():
    loaded = run("import sys, amp_runtime; print([m for m in sys.modules if m.startswith(('torch', 'amp_runtime.'))])")
    assert loaded.strip() == "[]"


def test_torch_free_names_need_no_torch():
    code = "import sys; sys.modules['torch'] = None; from amp_runtime import AmpConfig, Precision; print(AmpConfig())"
    assert "FP32" in run(code)


def test_submodules_are_imported_as_ever():
    assert run("from amp_runtime import wire; print(wire.__name__)").strip() == "amp_runtime.wire"
    assert run("import amp_runtime.step; print(amp_runtime.TrainingStep.__name__)").strip() == "TrainingStep"
