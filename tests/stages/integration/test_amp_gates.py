"""What acceptance lines may ask of AMP is decided by what the harness heard, and by nothing else."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from amp_runtime.wire import Observed, UnitResult, WorkloadUnit
from stages.integration.amp_gates import amp_gates, device_gate
from stages.integration.causes import Subject
from stages.integration.gates import ON_REQUEST, requested
from stages.integration.stage import STAGE
from stages.integration.training_runs import Run
from tests.builders import run_stage
from tests.stages.integration.projects import WORKLOAD, write
from verifier.api import Criterion, Location, RunOptions, StageOutcome, Task

LOSSES = tuple(0.9**n for n in range(4))
SCALES = (256.0,) * 4
QUIET = Observed(
    steps=4,
    with_modules=4,
    under_autocast={},
    scaled=0,
    from_scale=0,
    otherwise=0,
    scaler_steps=0,
    scaler_updates=0,
    scales=(),
    logged=None,
    cuda=False,
)
SCALED = replace(
    QUIET,
    under_autocast={"float16": 4},
    scaled=4,
    from_scale=4,
    scaler_steps=4,
    scaler_updates=4,
    scales=SCALES,
    logged=SCALES,
)


def run(*, amp: bool, observed: Observed | None, precision: str = "fp32", accuracy: float | None = None, **more) -> Run:
    fields = {
        "workload": WorkloadUnit(factory="work:toy", amp=amp, steps=4, seed=0),
        "subject": Subject(name="toy", doing="training toy", location=Location(path="work.py")),
        "result": UnitResult(unit="0", status="ok", phase="end", duration_s=1.0),
        "losses": LOSSES,
        "precision": precision,
        "device": "cpu",
        "metrics": {} if accuracy is None else {"accuracy": accuracy},
        "causes": (),
        "observed": observed,
    }
    return Run(**(fields | more))


def decide(name: str, amp: Run, fp32: Run | None = None):
    fp32 = fp32 or run(amp=False, observed=QUIET, accuracy=0.9)
    (gate,), causes = amp_gates([(fp32, amp)], frozenset({name}))
    assert [cause.rule.code for cause in causes] == ["RUN017"] * (gate.status == "FAIL" and amp.learned)
    return gate


def fp16(**changes) -> Run:
    return run(amp=True, precision="fp16", observed=replace(SCALED, **changes))


@pytest.mark.parametrize(
    ("name", "amp", "status", "says"),
    [
        ("autocast", fp16(), "PASS", "4 of 4 steps, to float16"),
        ("autocast", fp16(under_autocast={"float16": 3}), "FAIL", "3 of 4 steps"),
        ("autocast", fp16(under_autocast={"float32": 4}), "FAIL", "0 of 4 steps"),
        ("autocast", fp16(with_modules=0), "DEFERRED", "no torch module"),
        ("grad-scaler", fp16(), "PASS", "4 losses were scaled in 4 steps, by 256"),
        ("grad-scaler", fp16(scaler_updates=3), "FAIL", "update() 3 times"),
        ("grad-scaler", fp16(scaled=0, scales=()), "FAIL", "0 losses were scaled"),
        ("scaled-gradients", fp16(), "PASS", "4 of 4 scaled losses"),
        ("scaled-gradients", fp16(from_scale=3, otherwise=1), "FAIL", "something else for 1"),
        ("scaled-gradients", fp16(from_scale=3), "FAIL", "3 of 4"),
        ("loss-scale-log", fp16(), "PASS", "all 4 logged loss scales"),
        ("loss-scale-log", fp16(logged=None), "FAIL", "loss_scales"),
        ("loss-scale-log", fp16(logged=(*SCALES[:3], 512.0)), "FAIL", "step 4 logged loss scale 512; it was 256"),
        ("loss-scale-log", fp16(logged=SCALES[:2]), "FAIL", "2 loss scales were logged, and 4 were seen"),
        ("cuda", fp16(), "DEFERRED", "needs a CUDA device"),
    ],
)
def test_each_gate_follows_what_was_heard(name, amp, status, says):
    gate = decide(name, amp)
    assert gate.status == status
    assert says in gate.evidence


def test_only_the_gate_that_waits_for_a_device_says_which():
    assert decide("cuda", fp16()).lacks == ("cuda",)
    assert decide("autocast", fp16(with_modules=0)).lacks == ()


@pytest.mark.parametrize("name", ["grad-scaler", "scaled-gradients", "loss-scale-log"])
def test_where_nobody_needs_a_scaler_its_gates_are_deferred(name):
    gate = decide(name, run(amp=True, precision="bf16", observed=replace(QUIET, under_autocast={"bfloat16": 4})))
    assert (gate.status, gate.evidence) == ("DEFERRED", "no workload used a GradScaler here, and only FP16 needs one")


def test_autocast_in_the_fp32_run_fails_it():
    leaking = run(amp=False, observed=replace(QUIET, under_autocast={"bfloat16": 1}))
    (gate,), causes = amp_gates([(leaking, fp16())], frozenset({"autocast"}))
    assert gate.status == "FAIL"
    assert "in FP32, modules ran under autocast to bfloat16" in causes[0].message


@pytest.mark.parametrize(("accuracy", "status"), [(0.905, "PASS"), (0.895, "PASS"), (0.88, "FAIL"), (0.92, "FAIL")])
def test_accuracy_may_move_less_than_a_hundredth_either_way(accuracy, status):
    assert decide("amp-accuracy", run(amp=True, observed=SCALED, precision="fp16", accuracy=accuracy)).status == status


def test_without_an_accuracy_there_is_nothing_to_say():
    assert decide("amp-accuracy", fp16()).status == "DEFERRED"


@pytest.mark.parametrize("name", ["autocast", "grad-scaler", "scaled-gradients", "loss-scale-log", "amp-accuracy"])
def test_a_broken_run_proves_nothing(name):
    broken = run(amp=True, observed=None, precision="fp16", losses=LOSSES[:2])
    gate = decide(name, broken)
    assert (gate.status, "not proven" in gate.evidence) == ("FAIL", True)


def test_a_device_that_is_there_and_not_used_fails_its_gate():
    there = replace(SCALED, cuda=True)
    on_cpu = [run(amp=low, observed=there) for low in (False, True)]
    on_gpu = [replace(one, device="cuda:0") for one in on_cpu]
    assert device_gate("cuda", on_gpu)[0][0].status == "PASS"
    gates, causes = device_gate("cuda", on_cpu)
    assert (gates[0].status, len(causes)) == ("FAIL", 2)
    assert device_gate("cpu", on_cpu)[0][0].status == "PASS"
    assert device_gate("cpu", [])[0][0].status == "DEFERRED"


def test_several_workloads_pass_only_together():
    good, bad = fp16(), fp16(under_autocast={})
    fp32 = run(amp=False, observed=QUIET)
    (gate,), causes = amp_gates([(fp32, good), (fp32, bad)], frozenset({"autocast"}))
    assert (gate.status, len(causes)) == ("FAIL", 1)


def test_a_gate_exists_because_a_task_asks_for_it():
    line = Criterion(text="x", proven_by=("integration:cuda", "syntax:imports", "integration:tests"))
    assert requested(Task(name="T", title="T", files=("a.py",), acceptance=(line,))) == {"cuda"}
    assert set(ON_REQUEST) <= set(STAGE.gates)


EVERY = (Criterion(text="all", proven_by=tuple(f"integration:{name}" for name in ON_REQUEST)),)
LOOP = """
import torch
from torch import nn


class Training:
    def __init__(self, amp, seed):
        torch.manual_seed(seed)
        self.model = nn.Linear(8, 1)
        self.precision = "fp16" if amp else "fp32"
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=amp)
        self.amp, self.loss_scales, self.data = amp, [], torch.randn(32, 8)

    def step(self):
        self.optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16, enabled=self.amp):
            output = self.model(self.data)
        loss = (output.float() - self.data[:, :1]).square().mean()
        if self.amp:
            self.loss_scales.append(self.scaler.get_scale())
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss.item()

    def evaluate(self):
        return {"accuracy": 0.5}


def toy(*, amp, seed):
    return Training(amp, seed)
"""


def ask(root: Path, text: str) -> StageOutcome:
    write(root, {"work.py": text})
    options = RunOptions(time_limit_s=120.0)
    return run_stage(STAGE, root, ["work.py"], workloads=("work:toy",), acceptance=EVERY, options=options)


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")


BASIC = ("imports", "fp32-path", "amp-path", "amp-agreement", "amp-updates", "sanitizer")


def test_a_real_loop_passes_every_gate_that_a_cpu_can_decide(tmp_path: Path) -> None:
    outcome = ask(tmp_path, LOOP)
    assert outcome.findings == ()
    statuses = {gate.name: gate.status.value for gate in outcome.gates}
    assert statuses.pop("cuda") == "DEFERRED"
    assert set(statuses.values()) == {"PASS"}
    assert set(statuses) == {
        "imports",
        "fp32-path",
        "amp-path",
        "amp-agreement",
        "amp-updates",
        "sanitizer",
        "cuda-policy",
        *ON_REQUEST,
    } - {"cuda"}
    (timed,) = outcome.facts["step_times"]
    assert timed["low"] <= timed["ratio"] <= timed["high"]
    assert (timed["samples"], sum(timed["amp_led"])) == (8, 4)
    assert outcome.facts["workloads"][0]["amp"]["observed"]["scales"][0] == 256.0


def test_what_runs_without_torch_defers_what_cannot_be_heard(tmp_path: Path) -> None:
    outcome = ask(tmp_path, textwrap.dedent(WORKLOAD))
    statuses = {gate.name: gate.status.value for gate in outcome.gates}
    assert outcome.findings == ()
    assert {name for name, status in statuses.items() if status == "DEFERRED"} == {
        *("autocast", "grad-scaler", "scaled-gradients", "loss-scale-log", "amp-accuracy", "amp-updates", "cuda")
    }
    assert statuses["step-times"] == statuses["cpu"] == "PASS"


def test_a_workload_that_cannot_live_twice_is_not_timed_and_says_where(tmp_path: Path) -> None:
    text = WORKLOAD.replace(
        "def toy(*, amp, seed):", "MADE = []\n\n\ndef toy(*, amp, seed):\n    MADE.append(1 // (1 - len(MADE)))"
    )
    outcome = ask(tmp_path, text)
    gates = {gate.name: gate for gate in outcome.gates}
    assert gates["amp-path"].status == "PASS"
    assert (gates["step-times"].status, gates["step-times"].evidence) == ("FAIL", "work:toy: not timed")
    (finding,) = outcome.findings
    assert (finding.rule, finding.location.path) == ("RUN011", "work.py")


def test_a_workload_that_took_a_gpu_is_run_again_without_one(tmp_path: Path) -> None:
    device = "        self.device = 'cpu' if os.environ.get('CUDA_VISIBLE_DEVICES') == '' else 'cuda:0'\n"
    text = "import os\n" + WORKLOAD.replace("        self.loss, ", f"{device}        self.loss, ")
    line = (Criterion(text="CPU", proven_by=("integration:cpu",)),)
    write(tmp_path, {"work.py": text})
    options = RunOptions(time_limit_s=60.0)
    outcome = run_stage(STAGE, tmp_path, ["work.py"], workloads=("work:toy",), acceptance=line, options=options)
    cpu = outcome.gates[-1]
    assert (cpu.name, cpu.status.value, cpu.evidence) == ("cpu", "PASS", "work:toy: trains on cpu")
    assert outcome.facts["workloads"][0]["device"] == "cuda:0"
    assert outcome.checks_run == 1 + 2 + 2
