"""One file that cannot be read to its end costs the others nothing."""

from __future__ import annotations

import pytest

from stages.syntax.inventory import collect
from tests.builders import syntax_facts

SIGNED = "def exported(model): return model\n"


def test_a_file_too_deep_for_the_inventory_is_named_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def signatures(project, module):
        if module.path == "deep.py":
            raise RecursionError
        return real(project, module)

    real = collect.signatures
    monkeypatch.setattr(collect, "signatures", signatures)
    facts = syntax_facts({"deep": SIGNED, "flat": SIGNED})
    assert facts["too_deep"] == ["deep.py"]
    assert {row["path"] for row in facts["signatures"]} == {"flat.py"}


def test_a_depth_that_no_file_has_alone_is_no_file_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_project(files):
        if len(files) > 1:
            raise RecursionError
        return real(files)

    real = collect.read_project
    monkeypatch.setattr(collect, "read_project", read_project)
    with pytest.raises(RecursionError):
        syntax_facts({"a": SIGNED, "b": SIGNED})


def test_a_class_whose_base_is_looked_up_in_itself_ends() -> None:
    text = """
import torch

def step():
    made.scaler.step(made.optimizer)

class A(made.base):
    pass

made = A()
made.base = made
"""
    facts = syntax_facts({"a": text})
    assert facts["too_deep"] == []
    assert [(point["line"], point["what"]) for point in facts["amp_points"]] == [(4, "step")]


@pytest.mark.timeout(10)
def test_names_that_are_bound_over_and_over_from_each_other_take_no_exponential_time() -> None:
    bound = [f"    {name} = {other}\n" for name in "xyz" for other in "xyz" for _ in range(4)]
    text = f"import torch\ndef step():\n{''.join(bound)}    x[0].step()\n"
    assert syntax_facts({"a": text})["too_deep"] == []
