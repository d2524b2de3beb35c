"""Training scripts run unmodified under the sanitizer, and whatever ends one without proof blocks with its reason."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from amp_runtime.wire import Emulated, Failure, ScriptUnit, UnitResult
from stages._probe.client import Work, run_probe
from stages._probe.limits import Limits
from stages._probe.records import UnitReport
from stages.integration.execution import WATCHED
from stages.integration.script_results import ScriptRun, judge_scripts, read_scripts
from tests.stages.integration.projects import write
from tests.stages.integration.training_scripts import SCALED, training
from verifier.api import GateStatus, Location, StageError

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMITS = Limits(time_s=120.0, phase_s=120.0, memory_bytes=8 << 30)

SCRIPTS = {
    "good.py": training(),
    "clips.py": training(clip=SCALED),
    "raises.py": training(after="raise ValueError('after the training')"),
    "exits.py": training(after="sys.exit(3)"),
    "says.py": training(after="sys.exit('wrong arguments')"),
    "leaves.py": training(after="import os\nos._exit(0)"),
    "idle.py": "import torch\nprint(torch.ones(2).sum())\n",
    "endless.py": training(
        numbers="__import__('itertools').count()",
        main="""
    try:
        main()
    finally:
        print("left with", sys.argv)
""",
    ),
    "nested/uses.py": training(before="import beside\nassert beside.VALUE == 7 and sys.path[0].endswith('nested')"),
    "nested/beside.py": "VALUE = 7\n",
    "replaces.py": training(
        before="kept = torch.amp.GradScaler.update\ntorch.amp.GradScaler.update = lambda self: kept(self)"
    ),
    "nan.py": training(numbers="range(3) if not globals().update(torch=torch) else ()", clip="pass").replace(
        "loss = torch.nn.functional.mse_loss(model(x).float(), x.sum(1, keepdim=True))",
        "loss = torch.nn.functional.mse_loss(model(x).float(), x.sum(1, keepdim=True)) * float('nan')",
    ).replace("scaler.scale(loss).backward()", "loss.backward(); optimizer.step(); continue"),
    "spawns.py": """
        import multiprocessing
        import torch
        from torch.utils.data import DataLoader, TensorDataset

        def square(number):
            return number * number

        def main():
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                assert pool.map(square, [1, 2, 3]) == [1, 4, 9]
            model = torch.nn.Linear(4, 1)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
            data = TensorDataset(torch.randn(16, 4), torch.randn(16, 1))
            for x, y in DataLoader(data, batch_size=4, num_workers=1):
                optimizer.zero_grad()
                torch.nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()

        if __name__ == "__main__":
            main()
    """,
    "cuda.py": training()
    .replace('GradScaler("cpu"', 'GradScaler("cuda"')
    .replace('autocast("cpu"', 'autocast("cuda"')
    .replace("Linear(8, 1)", "Linear(8, 1).cuda()")
    .replace("randn(16, 8)", 'randn(16, 8, device="cuda")'),
    "pkg/__init__.py": "",
    "pkg/train.py": training(before="from . import part\nassert sys.argv[1:] == ['--lr', '1'] and part"),
    "pkg/part.py": "",
}  # fmt: skip
RUN = [name for name in SCRIPTS if not name.startswith("pkg") and name != "nested/beside.py"]


@dataclass(frozen=True)
class Ran:
    """Everything the scripts left, from one harness, so that torch is imported once."""

    root: Path
    runs: Mapping[str, ScriptRun]
    printed: str

    def rules(self, name: str) -> list[str]:
        return [cause.rule.code for cause in self.runs[name].causes]

    def message(self, name: str) -> str:
        (cause,) = self.runs[name].causes
        return cause.message


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    root = tmp_path_factory.mktemp("project")
    write(root, SCRIPTS)
    units = [
        ScriptUnit(
            target=name,
            shown=name,
            arguments=("--flag", "x y") if name == "endless.py" else (),
            folder="",
            steps=4 if name == "endless.py" else None,
            emulate=name == "cuda.py",
        )
        for name in RUN
    ]
    units.append(ScriptUnit(target="pkg.train", shown="pkg.train", arguments=("--lr", "1"), folder="", module=True))
    printed = bytearray()
    work = Work(
        probe="scripts",
        root=root,
        python=Path(sys.executable),
        paths=(),
        preload=WATCHED,
        scripts=tuple(units),
        output=printed.extend,
    )
    report = run_probe(work, LIMITS)
    runs = read_scripts(units, [Location(path=unit.shown) for unit in units], report, LIMITS)
    return Ran(root=root, runs={run.script.shown: run for run in runs}, printed=printed.decode())


def test_a_script_that_trains_has_nothing_to_its_charge(ran: Ran) -> None:
    run = ran.runs["good.py"]
    assert (run.causes, run.finished) == ((), True)
    assert run.report is not None
    assert (run.report.watched.steps, run.report.alarms) == (5, ())
    assert run.end is not None
    assert (run.end.exit_code, run.end.stopped, run.end.devices) == (0, False, ("cpu",))


def test_what_it_prints_is_passed_on(ran: Ran) -> None:
    assert ran.printed.startswith("step 0\nstep 1\n")


def test_a_hazard_stands_on_its_line_with_the_stack_of_the_program_alone(ran: Ran) -> None:
    run = ran.runs["clips.py"]
    assert run.report is not None
    (alarm,) = run.report.alarms
    lines = SCRIPTS["clips.py"].splitlines()
    line = next(number for number, text in enumerate(lines) if "clip_grad_norm_" in text)
    assert alarm.code == "AMP103"
    assert [(frame.path, frame.function) for frame in alarm.frames] == [("clips.py", "<module>"), ("clips.py", "main")]
    assert alarm.frames[-1].line == line
    assert f"clips.py:{line}" in run.report.watched.looked["AMP103"]


@pytest.mark.parametrize(
    ("name", "rule", "said"),
    [
        ("raises.py", "RUN019", "raises.py raises ValueError: after the training (training, after step"),
        ("exits.py", "RUN019", "exits.py ended with exit code 3"),
        ("says.py", "RUN019", "says.py ended with exit code 1"),
        ("leaves.py", "RUN005", "Running leaves.py ended the process with exit code 0 at leaves.py:"),
        ("idle.py", "RUN020", "idle.py ended without a single training step: no backward ran in it."),
        ("replaces.py", "RUN021", "replaces.py replaces GradScaler.update, so that what goes through is not seen."),
        ("nan.py", "RUN008", "nan.py: the loss of training step 1 is nan, and the optimizer was stepped."),
    ],
)
def test_what_ends_without_proof_says_why(ran: Ran, name: str, rule: str, said: str) -> None:
    assert ran.rules(name) == [rule]
    assert said in ran.message(name)
    assert not ran.runs[name].finished


def test_the_message_of_an_exit_is_shown(ran: Ran) -> None:
    assert "wrong arguments\n" in ran.printed


def test_a_program_is_ended_after_the_steps_asked_for_and_its_finally_blocks_run(ran: Ran) -> None:
    run = ran.runs["endless.py"]
    assert run.finished
    assert run.end is not None
    assert run.report is not None
    assert (run.end.stopped, run.report.watched.steps) == (True, 4)
    assert "left with ['endless.py', '--flag', 'x y']\n" in ran.printed


@pytest.mark.parametrize("name", ["nested/uses.py", "spawns.py", "pkg.train"])
def test_imports_workers_and_modules_are_as_under_python_itself(ran: Ran, name: str) -> None:
    assert ran.rules(name) == []
    assert ran.runs[name].finished


def test_a_script_for_cuda_runs_on_an_emulated_device_and_its_limits_are_said(ran: Ran) -> None:
    run = ran.runs["cuda.py"]
    assert run.finished
    assert run.end is not None
    assert run.report is not None
    assert run.end.devices == ("cuda:0",)
    assert run.report.watched.autocast == {"cuda float16": 5}
    assert [(step.scale, step.loss is None) for step in run.report.timeline[:1]] == [(1024.0, False)]
    judged = judge_scripts([run], object(), LIMITS)  # type: ignore[arg-type]
    assert judged.facts == {"device": "cpu, emulating cuda"}
    assert all(line.startswith("under emulation: ") for line in judged.limitations)
    assert "TF32 does not happen" in " ".join(judged.limitations)
    assert judged.gates[0].evidence == "cuda.py on an emulated CUDA device: 5 steps, ran to its end"


def test_without_emulation_the_remedy_names_it() -> None:
    failure = Failure(type="AssertionError", message="Torch not compiled with CUDA enabled")
    result = UnitResult(unit="0", status="raised", phase="running", duration_s=1.0, failure=failure)
    unit = UnitReport(result=result, items=())
    script = ScriptUnit(target="a.py", shown="a.py", arguments=(), folder="")
    report = SimpleNamespace(units={"0": unit})
    (run,) = read_scripts([script], [Location(path="a.py")], report, LIMITS)  # type: ignore[arg-type]
    assert "--emulate cuda" in run.causes[0].remediation


def test_a_device_that_cannot_be_emulated_is_no_fault_of_the_script() -> None:
    result = UnitResult(unit="0", status="ok", phase="emulating a CUDA device", duration_s=1.0)
    unit = UnitReport(result=result, items=(Emulated(limits=(), problem="this torch is too old"),))
    script = ScriptUnit(target="a.py", shown="a.py", arguments=(), folder="", emulate=True)
    report = SimpleNamespace(units={"0": unit})
    with pytest.raises(StageError, match="CUDA cannot be emulated here: this torch is too old"):
        read_scripts([script], [Location(path="a.py")], report, LIMITS)  # type: ignore[arg-type]


def test_one_bad_run_fails_the_gate(ran: Ran) -> None:
    good, bad = ran.runs["good.py"], ran.runs["idle.py"]
    report = object()
    assert judge_scripts([good], report, LIMITS).gates[0].status is GateStatus.PASS  # type: ignore[arg-type]
    judged = judge_scripts([good, bad], report, LIMITS)  # type: ignore[arg-type]
    assert judged.gates[0].status is GateStatus.FAIL
    assert judged.gates[0].evidence == ("good.py: 5 steps, ran to its end; idle.py: no-training-step, after 0 steps")


def test_a_script_that_hangs_keeps_what_was_seen_before(tmp_path: Path) -> None:
    write(tmp_path, {"hangs.py": training(clip=SCALED, after="import time\ntime.sleep(600)")})
    unit = ScriptUnit(target="hangs.py", shown="hangs.py", arguments=(), folder="")
    limits = Limits(time_s=12.0, phase_s=12.0, memory_bytes=8 << 30)
    work = Work(probe="scripts", root=tmp_path, python=Path(sys.executable), paths=(), preload=WATCHED, scripts=(unit,))
    (run,) = read_scripts([unit], [Location(path="hangs.py")], run_probe(work, limits), limits)
    assert [cause.rule.code for cause in run.causes] == ["RUN004"]
    assert "--steps N" in run.causes[0].remediation
    assert run.report is not None
    assert [alarm.code for alarm in run.report.alarms] == ["AMP103"]
