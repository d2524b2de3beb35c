"""What a stage declares, what it is given, what it returns, and what the core makes of it."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from verifier.model.isolation import DEFAULT_SANDBOX

if TYPE_CHECKING:
    from pathlib import Path

    from verifier.model.finding import Evidence, Finding, Json, Severity
    from verifier.model.rule import RuleInfo
    from verifier.model.task import Config, Task
    from verifier.sources import SourceFile, SourceTree

T = TypeVar("T")


class GateStatus(enum.StrEnum):
    """The outcome of one requirement."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"
    DEFERRED = "DEFERRED"


class StageStatus(enum.StrEnum):
    """The outcome of one stage; only PASSED and DEFERRED let a task pass."""

    PASSED = "PASSED"
    FAILED = "FAILED"
    ERRORED = "ERRORED"
    SKIPPED = "SKIPPED"
    DEFERRED = "DEFERRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One requirement and what was seen. `evidence` of a deferred gate is the reason.

    A gate that sums up findings names their codes or families in `sums_up`: the core then decides its status from
    those that remain after suppression (FAIL if one blocks, WARN if one is above INFO, else the stage's own word,
    PASS or DEFERRED) and adds their count to the evidence. With `at_most`, it is FAIL too where more places than that
    remain in them, whatever their severity. `lacks` names the kinds of device on which a deferred gate could be
    decided: where `--require-device` asks for one of them, the gate fails.
    """

    name: str
    requirement: str
    status: GateStatus
    evidence: str
    sums_up: tuple[str, ...] = ()
    at_most: int | None = None
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a stage asks of an earlier one: only that it comes first, or that it did not fail."""

    stage: str
    must_pass: bool


@dataclass(frozen=True, slots=True)
class Key(Generic[T]):
    """A typed name under which one stage leaves something for a later one."""

    name: str


class Stash:
    """What stages of one run hand to each other, by typed key (pytest's idea of the same name)."""

    def __init__(self) -> None:
        self._items: dict[str, object] = {}

    def put(self, key: Key[T], value: T) -> None:
        self._items[key.name] = value

    def get(self, key: Key[T]) -> T | None:
        return cast("T | None", self._items.get(key.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What the command line decides for one run.

    Args:
        jobs: worker processes for static work; with more than one, declared tests run beside imports and training.
        time_limit_s: wall-clock seconds for each stage that runs code; None: the stage's own default.
        memory_limit_gib: memory of the whole process tree of each stage that runs code; None: the default.
        python: interpreter of the verified project; None: the running one.
        all_facts: keep every fact of a large tree.
        sandbox: one of `SANDBOXES`: by which means code is isolated.
        require_isolation: one of `LEVELS`, which must hold before code is run; None: what the machine has.
        strict: a gate for which the measurements do not suffice fails.
        require_device: a gate that is deferred for want of this kind of device fails.
    """

    jobs: int = 1
    time_limit_s: float | None = None
    memory_limit_gib: float | None = None
    python: Path | None = None
    all_facts: bool = False
    sandbox: str = DEFAULT_SANDBOX
    require_isolation: str | None = None
    strict: bool = False
    require_device: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageContext:
    """Everything a stage may look at.

    Args:
        progress: takes one short line about what is going on.
        rules: every rule that is known, by code, for stages that report those of others.
        output: takes what the code under verification prints, as it comes.
    """

    root: Path
    task: Task
    config: Config
    sources: SourceTree
    options: RunOptions
    stash: Stash
    progress: Callable[[str], None]
    rules: Mapping[str, RuleInfo] = field(default_factory=dict)
    output: Callable[[bytes], None] = lambda _data: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a stage saw of a finding of an earlier one: that it happens, that it did not, or that nobody got there.

    Args:
        finding: the very object that the earlier stage returned (`FOUND` in the stash).
        evidence: joins the evidence of the finding.
        confirmed: it was seen to happen. The gates of the stage that says so count it among their own.
        severity: the finding is at least as severe as this from now on; no mark lowers one.
    """

    finding: Finding
    evidence: Evidence
    confirmed: bool = False
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What an outcome rests on of those files that a stage has searched for something, and not read as a whole.

    Args:
        given: what `Stage.says` has to know to say the same of a file again.
        said: what it says of each of these files, by path. Of any other file of the task everything counts.
    """

    given: Json
    said: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutcome:
    """What a stage saw. It holds no verdict: the core judges. `marks` concern findings of the stages before.

    `searched` is for whoever keeps the outcome, and no part of it.
    """

    checks_run: int
    findings: tuple[Finding, ...] = ()
    gates: tuple[Gate, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    marks: tuple[Mark, ...] = ()
    searched: Searched | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a stage needs of the machine that it runs on, where there is a choice of machines (`--executor ray`).

    Args:
        cpus: processor cores that it keeps busy.
        memory_bytes: that all of its processes together may hold.
        gpus: that it uses where there are any; without them it says itself what it cannot decide.
    """

    cpus: float = 1
    memory_bytes: int = 512 << 20
    gpus: float = 0

    def __or__(self, other: Resources) -> Resources:
        """Return what two stages of one task need, which run one after the other on one machine."""
        return Resources(
            cpus=max(self.cpus, other.cpus),
            memory_bytes=max(self.memory_bytes, other.memory_bytes),
            gpus=max(self.gpus, other.gpus),
        )


def nothing_besides(_context: StageContext) -> Json:
    """Say of a stage that it depends on nothing besides what is noted anyway (`Stage.depends_on`)."""
    return None


READS = Resources()
RUNS_CODE = Resources(cpus=2, memory_bytes=4 << 30, gpus=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage is a value: easy to build in a test, impossible to half-override.

    Args:
        gates: name -> requirement of every gate the stage may return; acceptance criteria name them.
        also_reports: codes of rules of other stages that this one sees at run time: its findings may carry them.
        resources: what it needs of a machine; a stage that runs code and does not say it is taken for `RUNS_CODE`.
        depends_on: says what the outcome depends on besides the code of the verifier, the configuration, the files of
            the task and what is read, listed and asked through `verifier.api`, which is noted. With it, the outcome is
            kept for later runs that would find all of this unchanged; None: the stage runs every time.
        says: gives a digest of all that the stage takes from the text of a file that it does not read, for what
            `Searched.given` says. A kept outcome stands while this is the same for every file that has changed.
    """

    number: int
    name: str
    title: str
    summary: str
    runs_code: bool
    run: Callable[[StageContext], StageOutcome]
    rules: tuple[RuleInfo, ...] = ()
    also_reports: tuple[str, ...] = ()
    gates: Mapping[str, str] = field(default_factory=dict)
    needs: tuple[Need, ...] = ()
    depends_on: Callable[[StageContext], Json] | None = None
    says: Callable[[Json, SourceFile], str] | None = None
    resources: Resources | None = None

    def required(self) -> Resources:
        return self.resources or (RUNS_CODE if self.runs_code else READS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A finding as the core judged it. The fingerprint holds no line number, so moved code keeps it.

    `diff` is what its fix would change, for people's formats; empty where none is known. `baselined`: the project has
    accepted it (`--baseline`), so it neither blocks nor costs.
    """

    finding: Finding
    name: str  # of its rule
    blocking: bool
    fingerprint: str
    diff: str = ""
    baselined: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """A judged stage. `reason` says why it is SKIPPED or ERRORED; `internal`: the verifier itself failed."""

    number: int
    name: str
    title: str
    status: StageStatus
    score: int
    checks_run: int
    duration_s: float
    gates: tuple[Gate, ...] = ()
    findings: tuple[Reported, ...] = ()
    facts: Mapping[str, Json] = field(default_factory=dict)
    reason: str = ""
    internal: bool = False
