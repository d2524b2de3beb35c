"""With the cache and without it a report says the same, whatever was changed in between."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.verifier.cache.project import FILES, Verified, make
from verifier.cache import outcomes, stamps
from verifier.fixing import offered


@pytest.fixture(params=[2_000_000_000, 0], ids=["young files", "settled files"])
def verified(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Verified:
    monkeypatch.setattr(stamps, "_TICK_NS", request.param)
    make(tmp_path / "p")
    return Verified(tmp_path / "p", tmp_path / "cache", monkeypatch, capfd)


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stages that were not answered by the cache, in their order."""
    names: list[str] = []
    run = outcomes._run_and_keep

    def noted(stage, *rest):  # type: ignore[no-untyped-def]
        names.append(stage.name)
        return run(stage, *rest)

    monkeypatch.setattr(outcomes, "_run_and_keep", noted)
    return names


def test_nothing_runs_again_where_nothing_has_changed(verified: Verified, ran: list[str]) -> None:
    without = verified.report("--no-cache")
    assert ran == []
    assert not verified.cache.exists()
    assert verified.report() == without
    assert ran == ["syntax", "logic"]
    assert verified.report("--jobs", "1") == without
    assert ran == ["syntax", "logic"]
    assert {finding["rule"] for stage in without["stages"] for finding in stage["findings"]} >= {"SCP001", "AMP101"}


def test_fixes_are_worked_out_once(verified: Verified, monkeypatch: pytest.MonkeyPatch) -> None:
    first = verified.report()
    monkeypatch.setattr(offered, "_offer", None)  # whoever calls it fails
    again = verified.report()
    assert again == first
    assert [finding["fix"] for stage in first["stages"] for finding in stage["findings"] if finding["rule"] == "AMP101"]


_CHANGES: dict[str, Callable[[Verified], object]] = {
    "a file of the task": lambda it: it.write("pkg/a.py", FILES["pkg/a.py"].replace("absent", "os")),
    "a file outside the task": lambda it: it.write("outside/other.py", "def use(scaler):\n    return scaler.step\n"),
    "a file more": lambda it: it.write("pkg/nothere.py", ""),
    "a module beside it": lambda it: it.write("nothere.py", ""),
    "a file less": lambda it: (it.root / "pkg" / "steps.py").unlink(),
    "another name": lambda it: (it.root / "pkg" / "b.py").rename(it.root / "pkg" / "c.py"),
    "what is declared": lambda it: it.write("pyproject.toml", FILES["pyproject.toml"].replace("numpy", "nothere")),
    "what is required": lambda it: it.write("requirements.txt", "nothere\n"),
    "what is excluded": lambda it: it.write("pyproject.toml", '[tool.verifier]\nexclude = ["pkg/b.py"]\n'),
    "what git ignores": lambda it: it.write(".gitignore", "b.py\n"),
    "where modules are": lambda it: it.write("pyproject.toml", '[tool.verifier]\nsource-roots = ["outside"]\n'),
    "what is ignored": lambda it: it.write(
        "pyproject.toml", '[tool.verifier]\nper-file-ignores = { "pkg/*" = ["SCP", "LNT"] }\n'
    ),
    "rights": lambda it: (it.root / "pkg" / "b.py").chmod(0o000),
    "a comment that silences": lambda it: it.write(
        "pkg/a.py", FILES["pkg/a.py"].replace("(absent)", "(absent)  # verify: allow[SCP001] it is put there")
    ),
}


@pytest.mark.parametrize("change", _CHANGES.values(), ids=_CHANGES.keys())
def test_each_change_is_seen(verified: Verified, change: Callable[[Verified], object]) -> None:
    before = verified.report()
    change(verified)
    try:
        assert verified.report() == verified.report("--no-cache")
        assert verified.report() == verified.report("--no-cache")
    finally:
        for path in verified.root.rglob("*.py"):
            path.chmod(0o644)
    for name in set(_paths(verified.root)) - FILES.keys():
        (verified.root / name).unlink()
    for name, text in FILES.items():
        verified.write(name, text)
    assert verified.report() == before


def test_what_is_changed_in_one_line_of_one_file_moves_only_the_stage_that_looks(
    verified: Verified, ran: list[str]
) -> None:
    verified.report()
    verified.write("outside/other.py", "from pkg import a\n\n\ndef use(scaler):\n    return (scaler,)\n")
    verified.report()
    assert ran[2:] in (["logic"], ["syntax", "logic"])


_SILENT = {
    "a comment": "# far\n",
    "a function": "def more():\n    return far\n",
    "an import": "import os\n",
    "no finding of this stage": "x = absent\n",
}
_TELLING = {
    "a suspicion": "import torch\n\n\ndef forward(self, x, mask):\n    return x.masked_fill(mask, -1e9)\n",
    "a guard": "import torch\n\n\ndef norm(x):\n    return x / (x.norm() + 1e-12)\n",
    "autocast": "import torch\n\n\ndef run(x):\n    with torch.autocast('cuda'):\n        return x.half()\n",
    "soundness": "import torch\n\n\ndef run(m, x):\n    torch.set_grad_enabled(False)\n    return m(x)\n",
    "a step": "def step(scaler, optimizer):\n    scaler.unscale_(optimizer)\n    optimizer.step()\n",
    "bfloat16": "import torch\nDTYPE = torch.bfloat16\n",
    "the whole in half": "# deepspeed\n",
}


@pytest.mark.parametrize("text", _SILENT.values(), ids=_SILENT.keys())
def test_a_file_that_no_rule_has_read_may_say_anything_else(verified: Verified, ran: list[str], text: str) -> None:
    verified.report()
    for change in (FILES["pkg/far.py"] + text, text + FILES["pkg/far.py"], FILES["pkg/far.py"]):
        verified.write("pkg/far.py", change)
        del ran[:]
        assert verified.report() == verified.report("--no-cache")
        assert ran in ([], ["syntax"])


@pytest.mark.parametrize("text", _TELLING.values(), ids=_TELLING.keys())
def test_what_is_said_in_such_a_file_counts(verified: Verified, ran: list[str], text: str) -> None:
    verified.report()
    del ran[:]
    verified.write("pkg/far.py", FILES["pkg/far.py"] + text)
    assert verified.report() == verified.report("--no-cache")
    assert ran == ["syntax", "logic"]
    verified.write("pkg/far.py", FILES["pkg/far.py"] + text.replace("x", "y"))
    assert verified.report() == verified.report("--no-cache")
    verified.write("pkg/far.py", FILES["pkg/far.py"])
    assert verified.report() == verified.report("--no-cache")


@pytest.mark.parametrize("seed", range(2))
def test_any_row_of_edits(verified: Verified, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        for _ in range(chance.randrange(3)):
            _edit(verified, chance)
        assert verified.report() == verified.report("--no-cache")


_LINES = (
    "import pkg.b\n", "from pkg.steps import step\n", "from pkg import *\n", "from . import a\n", "import nothere\n",
    "x = absent\n", "def first():\n    return first\n", "broken = (\n",
    "try:\n    import other\nexcept ImportError:\n    other = None\n",
    "def step(scaler, optimizer, loss):\n    scaler.scale(loss).backward()\n    scaler.step(optimizer)\n",
    "import torch\n", "from pkg.far import *\n", "from pkg.far import far\n", "deepspeed = 'bf16'\n",
    "def forward(self, x, mask):\n    return x.masked_fill(mask, -1e9)\n",
    "def near(x):\n    with torch.autocast('cuda'):\n        return (x / (x.norm() + 1e-12)).float()\n",
    "class Far(Near):\n    def step(self, scaler):\n        self.optimizer.step()\n        return scaler\n",
    "# verify: allow[SCP001] for now\n", "__all__ = ['first']\n", "def __getattr__(name):\n    return name\n",
)  # fmt: skip


def _paths(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _edit(verified: Verified, chance: random.Random) -> None:
    root = verified.root
    python = [name for name in _paths(root) if name.endswith(".py") and name != "train.py"]
    kind, name = chance.randrange(6), chance.choice(python)
    text = (root / name).read_text()
    if kind == 0 and len(python) > 3:
        (root / name).unlink()
    elif kind == 1:
        os.replace(root / name, root / f"{chance.choice(['pkg', 'outside'])}/{chance.choice('abcde')}.py")  # noqa: PTH105
    elif kind == 2:
        verified.write(f"{chance.choice(['pkg', 'outside', 'pkg/deep'])}/{chance.choice('abcde')}.py", text)
    elif kind == 3:
        verified.write(
            "pyproject.toml", chance.choice([FILES["pyproject.toml"], '[tool.verifier]\nexclude = ["b.py"]\n'])
        )
    else:
        verified.write(name, "".join(chance.sample([*_LINES, text], k=3)))
