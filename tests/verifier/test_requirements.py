"""The requirements of a task are read whole, and every mistake is named with its line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from verifier.config import load_config
from verifier.errors import ConfigError

if TYPE_CHECKING:
    from verifier.model.requirement import Requirement

HEAD = '[tool.verifier.tasks.T]\nfiles = ["a.py"]\nworkloads = ["a:small", "a:large"]\n'


def read(root: Path, requirements: str, head: str = HEAD) -> tuple[Requirement, ...]:
    (root / "a.py").write_text("")
    (root / "pyproject.toml").write_text(f"{head}[tool.verifier.tasks.T.requirements]\n{requirements}\n")
    return load_config(root, gates={}).tasks["T"].requirements


def problems(root: Path, requirements: str, head: str = HEAD) -> str:
    with pytest.raises(ConfigError) as caught:
        read(root, requirements, head)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "operator", "value", "unit"),
    [
        ('speedup = ">=1.5"', ">=", 1.5, ""),
        ('speedup = "> 1.5x"', ">", 1.5, "x"),
        ('memory-reduction = ">=40%"', ">=", 0.4, "%"),
        ('memory-reduction = ">= .4"', ">=", 0.4, ""),
        ('accuracy-difference = "<0.01"', "<", 0.01, ""),
        ('accuracy-difference = "<= 1 %"', "<=", 0.01, "%"),
        ('loss-difference = "<0.05"', "<", 0.05, ""),
        ('throughput = ">=20 steps/s"', ">=", 20, "steps/s"),
        ('throughput = ">=500samples/s"', ">=", 500, "samples/s"),
        ('roofline-share = ">=30%"', ">=", 0.3, "%"),
        ('compile-speedup = ">=1.2"', ">=", 1.2, ""),
        ('regression = "<=5%"', "<=", 0.05, "%"),
    ],
)
def test_a_bound_is_read(tmp_path: Path, line: str, operator: str, value: float, unit: str):
    (found,) = read(tmp_path, line)
    bound = found.bound_for("cuda:0")
    assert bound is not None
    assert (bound.operator, bound.value, bound.unit) == (operator, pytest.approx(value), unit)
    assert (found.name, found.line) == (line.partition(" ")[0], 5)


def test_a_requirement_may_name_its_devices_and_its_workloads(tmp_path: Path):
    (found,) = read(tmp_path, 'speedup = { cuda = ">=1.5", cpu = ">=1.0", only = ["a:large"] }')
    assert found.bound_for("cuda:1").value == 1.5
    assert found.bound_for("cpu").value == 1.0
    assert found.bound_for("mps") is None
    assert (found.concerns("a:large"), found.concerns("a:small")) == (True, False)
    assert found.text() == ">=1.5 on cuda, >=1.0 on cpu; of a:large"


def test_another_device_has_the_bound_of_any(tmp_path: Path):
    (found,) = read(tmp_path, 'speedup = { cuda = ">=1.5", any = ">=1.0" }')
    assert (found.bound_for("cuda").value, found.bound_for("xpu:0").value) == (1.5, 1.0)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('sped-up = ">=1.5"', 'there is no such requirement; did you mean "speedup"?'),
        ("speedup = 1.5", 'is no bound; write an operator and a number, such as ">=1.5"'),
        ('speedup = "1.5"', "is no bound"),
        ('speedup = "=>1.5"', "is no bound"),
        ('speedup = ">=fast"', "is no bound"),
        ('speedup = "<1.5"', "it asks for at least a number, with >="),
        ('accuracy-difference = ">0.01"', "it asks for at most a number, with <"),
        ('speedup = ">=150%"', "the unit is no unit or `x`"),
        ('throughput = ">=20"', "the unit is `steps/s` or `samples/s`"),
        ('speedup = ">=0"', "asks for nothing"),
        ('memory-reduction = ">=40"', "a share below 1"),
        ('memory-reduction = ">=100%"', "a share below 1"),
        ('accuracy-difference = "<2"', "a share up to 1"),
        ('speedup = { gpu = ">=1.5" }', "is no kind of device"),
        (
            'speedup = { cuda = ">=1.5", only = ["a:larg"] }',
            'is no workload or script of the task; did you mean "a:large"?',
        ),
        ('speedup = { cuda = ">=1.5", only = "a:large" }', "must be a list"),
        ('speedup = { only = ["a:large"] }', "names no bound"),
        ("speedup = {}", "names no bound"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, line: str, said: str):
    text = problems(tmp_path, line)
    assert said in text
    assert text.startswith(f"pyproject.toml:5: tasks.T.requirements.{line.partition(' ')[0]}")


def test_every_mistake_is_named_at_once(tmp_path: Path):
    text = problems(tmp_path, 'speedup = "<1"\nmemory-reduction = ">=40"\nnothing = ">=1"')
    assert [line.split(":")[1] for line in text.splitlines()] == ["5", "6", "7"]


def test_a_requirement_without_anything_to_measure_is_a_mistake(tmp_path: Path):
    head = '[tool.verifier.tasks.T]\nfiles = ["a.py"]\n'
    assert "declares no workloads and no scripts" in problems(tmp_path, 'speedup = ">=1.5"', head)


def test_requirements_are_a_table(tmp_path: Path):
    (tmp_path / "a.py").write_text("")
    (tmp_path / "pyproject.toml").write_text(f'{HEAD}requirements = ">=1.5"\n')
    with pytest.raises(ConfigError, match="must be a table"):
        load_config(tmp_path, gates={})
