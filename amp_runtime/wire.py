"""What crosses the line between the verifier and the process that runs the code: frozen facts, JSON in and out.

Standard library only, and no torch: it is loaded on both sides, in the child under a private name.
"""

from __future__ import annotations

import typing
from dataclasses import dataclass
from typing import Literal

from .compile.records import CompileChecked, CompiledPass, CompiledSpeed
from .instrument.records import Alarm, Difference, Frame, Resumed, SanitizerReport, StepSeen, UpdatesCompared, Watched
from .wire_cage import Cage, Witness
from .wire_json import WireError, from_json, to_json
from .wire_performance import (
    MODES,
    DeviceSeen,
    Estimated,
    Kept,
    MeasureUnit,
    Mode,
    NotMeasured,
    Prepared,
    Roofline,
    ScriptTimed,
    Timed,
    Validated,
    Worked,
)
from .wire_scripts import Emulated, RankSeen, ScriptEnd
from .wire_units import ALL, ModuleUnit, ScriptUnit, Share, WorkloadUnit

# Both sides know this module alone.
__all__ = [
    "ALL",
    "MODES",
    "Alarm",
    "Cage",
    "CompileChecked",
    "CompiledPass",
    "CompiledSpeed",
    "DeviceSeen",
    "Difference",
    "Emulated",
    "Estimated",
    "Frame",
    "Kept",
    "MeasureUnit",
    "Mode",
    "ModuleUnit",
    "NotMeasured",
    "Prepared",
    "RankSeen",
    "Resumed",
    "Roofline",
    "SanitizerReport",
    "ScriptEnd",
    "ScriptTimed",
    "ScriptUnit",
    "Share",
    "StepSeen",
    "Timed",
    "UpdatesCompared",
    "Validated",
    "Watched",
    "WireError",
    "Witness",
    "Worked",
    "WorkloadUnit",
    "from_json",
    "to_json",
]

Status = Literal["ok", "raised", "exited", "signal", "timeout", "memory", "flood", "processes", "lost"]
Outcome = Literal["passed", "failed", "error", "skipped", "xfailed"]

STATUSES: tuple[Status, ...] = typing.get_args(Status)
GO = b"g"  # what the verifier writes into the lifeline once it has seen that the cage holds
CHANNEL_LOST = 113  # exit code of a child that can no longer report: something closed its result channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """An exception: `frames` are those inside the project, outermost first; `text` is the end of the traceback."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Everything the child needs. The file that carries it is deleted as soon as it is read.

    Args:
        nonce: proves that a record was written by the harness of this run.
        root: where the project stands for the child: its working copy. origin: where it stands for the user.
        installation: the folder that holds our packages; hidden from the project unless it is the project.
        scratch: what the child may write. outer: the folder around it, which goes when the run is over.
        paths: project folders for the front of sys.path, in order.
        needs: packages whose absence is reported, whether or not they are preloaded.
        preload: site-packages imported once, before any project path is known; children fork from there.
        phase_limit_s: wall-clock seconds for one import, one test, one step.
        limit_s: wall-clock seconds for the whole probe.
        flood_bytes: how much a child may print.
        share: the part of the tests to run.
        shared: files that several of the processes import: compiled once for all of them.
        measured: files of which it is told how much the tests reach.
        pairs: workloads whose FP32 and AMP steps are timed against each other.
        compared: workloads whose updates are compared, and that are saved and resumed.
        compiled: workloads whose model is compiled and held against the eager one.
        scripts: run one after another, each watched by the sanitizer; of the performance probe, timed by it.
        measured_workloads: measured one after another.
        channel_fd: where records are written.
        lifeline_fd: gives one byte when the verifier has seen that the cage holds, and end-of-file when it is gone.
    """

    probe: Literal["imports", "tests", "workloads", "scripts", "performance"]
    nonce: str
    root: str
    origin: str
    installation: str
    scratch: str
    outer: str
    paths: tuple[str, ...]
    preload: tuple[str, ...]
    needs: tuple[str, ...]
    phase_limit_s: float
    limit_s: float
    flood_bytes: int
    channel_fd: int
    lifeline_fd: int
    cage: Cage
    modules: tuple[ModuleUnit, ...] = ()
    tests: tuple[str, ...] = ()
    share: Share = ALL
    shared: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    workloads: tuple[WorkloadUnit, ...] = ()
    pairs: tuple[WorkloadUnit, ...] = ()
    compared: tuple[WorkloadUnit, ...] = ()
    compiled: tuple[WorkloadUnit, ...] = ()
    scripts: tuple[ScriptUnit, ...] = ()
    measured_workloads: tuple[MeasureUnit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The harness runs: in which interpreter, what could not be preloaded and why, which layers hold and by what."""

    python: str
    preloaded: dict[str, str]
    missing: dict[str, str]
    layers: dict[str, bool]
    mechanisms: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitResult:
    """How one forked process ended.

    Args:
        phase: what it was doing last, or when it raised. phase_s: for how long.
        code: exit code or signal number, by status. out_of_time: it was stopped because the whole probe's time was up.
        stack: for a time-out or a fatal signal, the project's lines that were executing, outermost first.
        survivors: command lines of processes it left behind; they have been killed.
        forged: records in its result channel that the harness did not write.
        strays: modules that came from the user's tree and not from its copy.
    """

    unit: str
    status: Status
    phase: str
    duration_s: float
    phase_s: float = 0.0
    code: int = 0
    out_of_time: bool = False
    failure: Failure | None = None
    stack: tuple[Frame, ...] = ()
    stack_text: str = ""
    survivors: tuple[str, ...] = ()
    forged: int = 0
    strays: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Where an imported module really came from; None where that cannot be told."""

    origin: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """How many tests pytest selected and how many it left out by the project's own options."""

    selected: int
    deselected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectProblem:
    """A file pytest could not collect, or that skipped itself as a whole (`skipped`)."""

    id: str
    skipped: bool
    message: str
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDone:
    """One test. `path` and `line` say where it is defined."""

    __test__ = False  # the name is not an invitation to pytest

    id: str
    outcome: Outcome
    duration_s: float
    path: str
    line: int
    reason: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteEnd:
    """pytest came to its own end, with this exit code."""

    exit_code: int
    pytest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WarningSeen:
    """A warning that the tests gave, at its place, and how often."""

    category: str
    message: str
    path: str
    line: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveredFile:
    """How many lines of a file begin a statement, and the numbers of those that no test reached."""

    path: str
    lines: int
    missed: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which lines of the task the tests reached. `note` says why that was not measured."""

    files: tuple[CoveredFile, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A workload was built. `path` and `line` say where its factory is defined."""

    precision: str | None
    device: str
    path: str | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """One training step and its loss."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """What the workload's own `evaluate()` said after training."""

    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the harness itself saw of AMP in the steps of a workload; only `logged` is the workload's own word.

    Args:
        steps: that were begun. with_modules: in which a torch module was called.
        under_autocast: by dtype, the steps in which a module was called under autocast to it.
        scaled: losses that went through an enabled GradScaler. from_scale: backward passes that began at such a loss
            with its scale as the gradient. otherwise: those that began with another.
        scaler_steps, scaler_updates: calls of an enabled GradScaler.
        scales: the scale of each step that had one.
        logged: the scales in the workload's log (`loss_scales`); None where it has none.
        cuda: PyTorch sees a CUDA device.
    """

    steps: int
    with_modules: int
    under_autocast: dict[str, int]
    scaled: int
    from_scale: int
    otherwise: int
    scaler_steps: int
    scaler_updates: int
    scales: tuple[float, ...]
    logged: tuple[float, ...] | None
    cuda: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Steps in FP32 and under AMP, timed in turn: seconds of each block, and the ratio of FP32's to AMP's time."""

    fp32_s: tuple[float, ...]
    amp_s: tuple[float, ...]
    amp_led: tuple[bool, ...]
    ratio: float
    low: float
    high: float
    confidence: float
    method: str
    device: str
    precision: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """The workload does not keep its contract; `message` says which part."""

    message: str
    path: str | None = None
    line: int = 1


Item = (
    Imported
    | Collected
    | CompileChecked
    | CollectProblem
    | TestDone
    | SuiteEnd
    | WarningSeen
    | Coverage
    | Made
    | Stepped
    | Evaluated
    | Observed
    | Paired
    | Rejected
    | Resumed
    | SanitizerReport
    | UpdatesCompared
    | ScriptEnd
    | RankSeen
    | Emulated
    | DeviceSeen
    | Prepared
    | Kept
    | Worked
    | Roofline
    | Timed
    | Validated
    | Estimated
    | NotMeasured
    | ScriptTimed
)
ITEMS: dict[str, type] = {kind.__name__: kind for kind in typing.get_args(Item)}
