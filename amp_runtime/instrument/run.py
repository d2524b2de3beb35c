"""Everything the sanitizer knows while a program trains: scalers, optimizers, gradients, steps, and alarms so far."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..emulation.state import is_emulating
from .casts import Casts
from .events import BackwardStarting, OptimizerStepped
from .frames import Frames
from .gradients import Gradients
from .owners import Owners
from .precision_events import ProgramRaised
from .provenance import ScaleNodes
from .records import Alarm, Frame, SanitizerReport, StepSeen, Watched
from .staleness import Writes
from .steps import Steps
from .timeline import Timeline
from .window import Window

if TYPE_CHECKING:
    from .events import Event
    from .gradients import Gradient
    from .provenance import Provenance

_MOST_ALARMS = 200
_KEPT = 8
_MOST_PLACES = 2000
_FIRST = 10  # steps that are looked at closely, as every `_EVERY`-th is, and some after a new place or trouble
_EVERY = 10
_AFTER_TROUBLE = 2
_WHOLE = 100  # steps that are watched whole; of those that follow, every `_WATCHED`-th, and some after trouble
_WATCHED = 5  # no divisor of the usual periods of two, three and four; programs log at its multiples
_TOLD = "__amp_sanitizer_told__"
_forks = 0  # how often the process was forked on the way to this one: asking for its id at every event costs a call


def _forked() -> None:
    global _forks  # noqa: PLW0603 - belongs to the process, as what it counts
    _forks += 1


os.register_at_fork(after_in_child=_forked)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a check has found. Place and step are those of the event unless the check knows better."""

    message: str
    values: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    place: tuple[str, int] | None = None


Findings = Sequence[Found] | None  # None: what the check is about did not happen here, so nothing is refuted either
NOTHING: Findings = ()
CheckFunction = Callable[[Any, "Run"], Findings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The run-time half of one rule: which events it hears, and what it makes of each."""

    code: str
    remedy: str
    hears: dict[type[Event], CheckFunction]


@dataclass(slots=True, kw_only=True)
class ScalerSeen:
    """One enabled GradScaler. `updates`: how many it has had, the last one at `updated_at`.

    `steps`, `stepped_at` and `unscaled_at` are of this turn, since that update, by the `id` of an optimizer.
    """

    scaler: weakref.ref[Any]
    made_at: tuple[str, int]
    made_in_step: int
    via: str = ""  # the installed package that made it, such as accelerate; "": the program itself
    updates: int = 0
    updated_at: tuple[str, int] = ("", 0)
    steps: dict[int, bool] = field(default_factory=dict)  # optimizer id -> skipped
    stepped_at: dict[int, tuple[str, int]] = field(default_factory=dict)
    unscaled_at: dict[int, tuple[str, int]] = field(default_factory=dict)
    loaded: bool = False  # a state was given to it
    read_at: set[tuple[str, int]] = field(default_factory=set)  # where the program asks for the scale


@dataclass(slots=True, kw_only=True)
class Region:
    """An autocast context that is open in this thread."""

    device: str
    dtype: str
    enabled: bool
    place: tuple[str, int]
    context: Any
    cache: bool = True
    via: str = ""  # the installed package that entered it; "": the program itself
    generator: Any = None  # the frame of the generator of the program that entered it
    open: bool = True


class Local(threading.local):
    """What belongs to one thread."""

    def __init__(self) -> None:
        self.quiet = 0  # inside our own code: what torch functions do there is not the program's
        self.regions: list[Region] = []
        self.backward = 0  # a backward, or autograd.grad, runs
        self.way: tuple[int, ...] | None = None  # the scalers that the running backward's root has crossed
        self.provenance: Provenance | None = None  # of the backward that runs
        self.stepping: Any = None  # the scaler whose step() runs
        self.skipped: bool | None = None  # what that step came to, as soon as it is known
        self.inside: set[tuple[int, str]] = set()  # (id of a scaler, method) that run now
        self.scheduling = 0
        self.writes = Writes()
        self.before_step = -1  # number of the next graph node before a step in a region; -1: in none
        self.making = False  # an autocast context is constructed
        self.clipping = False  # clip_grad_value_ runs, and was told of
        self.raises = False  # clip_grad_norm_ was called with error_if_nonfinite


class Run:
    """The state of one sanitizer, and the way from an event to an alarm."""

    def __init__(self, checks: Sequence[Check], roots: tuple[str, ...]) -> None:
        self.frames = Frames(roots)
        self.place = self.frames.place
        self.gradients = Gradients()
        self.scale_nodes = ScaleNodes()
        self.casts = Casts()
        self.owners = Owners()
        self.timeline = Timeline()
        self.local = Local()
        self.step = 1
        self.scalers: dict[int, ScalerSeen] = {}
        self.optimizers: dict[int, weakref.ref[Any]] = {}
        self.steps = Steps(self)
        self.deep = False  # the running step is looked into
        self.close = True  # in the running step graphs are walked and gradients looked at one by one
        self.resting = False  # of the running step only its end, its skips and the loss scale are heard
        self.rests = True  # steps may be rested; not where all events are wanted
        self.rested = 0
        self.walked: dict[tuple[str, int], tuple[tuple[tuple[int, ...], ...], Provenance]] = {}
        self.planted = ""  # the fault that is planted in the running step
        self.paused = False
        self.problems: list[str] = []
        self.replaced: list[str] = []  # functions of torch that are not ours any more at the end
        self.listeners: list[Callable[[Event], None]] = []
        # scaled losses of late, as aliases that keep their storage, with their scaler by `id`
        self.scaled: deque[tuple[Any, int]] = deque(maxlen=_KEPT)
        self.kept: list[weakref.ref[Any]] = []  # the same, to see whether the program keeps them past its update
        self.read_losses: Callable[[], None] | None = None  # begins to listen to numbers being read
        self.window = Window(self)
        self.hooks: list[Any] = []  # handles of hooks to remove at the end, if they are still there
        self.entered = 0  # enabled autocast regions so far
        self.after_step: list[Callable[[int], None]] = []  # told the number of the step that lies behind
        self._met: set[tuple[type[Event], tuple[str, int]]] = set()  # what happened where, in a close step
        self._memory: dict[str, dict[Any, Any]] = defaultdict(dict)
        self._hears: dict[type[Event], list[tuple[Check, CheckFunction]]] = {}
        for check in checks:
            for kind, function in check.hears.items():
                self._hears.setdefault(kind, []).append((check, function))
        self._alarms: dict[tuple[str, tuple[str, int]], Alarm] = {}
        self._looked: dict[str, set[tuple[str, int]]] = defaultdict(set)
        self._counts: Counter[type[Event]] = Counter()
        self._autocast: Counter[str] = Counter()
        self._close_until = 0
        self._whole_until = _WHOLE
        self._since = time.perf_counter()
        self._forks = _forks

    @property
    def muted(self) -> bool:
        """Our own code runs, or this is a forked copy of the process, such as a worker of a DataLoader."""
        return self.local.quiet > 0 or self.paused or self._forks != _forks

    @property
    def idle(self) -> bool:
        """Nothing that happens in every step is looked at now."""
        return self.resting or self.muted

    def memory(self, code: str) -> dict[Any, Any]:
        """Return what the check of this code keeps between events."""
        return self._memory[code]

    def count(self, kind: type[Event]) -> int:
        """Return how many events of this kind there were."""
        return self._counts[kind]

    def emit(self, event: Event) -> None:
        """Let every check that hears this kind of event look at it."""
        kind = type(event)
        if (kind, event.place) not in self._met:
            self._meet_place(kind, event.place)
        self._counts[kind] += 1
        local = self.local
        local.quiet += 1
        try:
            for check, function in self._hears.get(kind, ()):
                found = function(event, self)
                if found is None:
                    continue
                looked = self._looked[check.code]
                if len(looked) < _MOST_PLACES:
                    looked.add(event.place)
                for one in found:
                    self.alarm(check, one, event)
            self.tell(event)
        finally:
            local.quiet -= 1

    def tell(self, event: Event) -> None:
        """Let everybody but the checks hear of it."""
        self.local.quiet += 1
        try:
            for listener in self.listeners:
                listener(event)
        finally:
            self.local.quiet -= 1

    def _meet_place(self, kind: type[Event], place: tuple[str, int]) -> None:
        if self.close:
            self._met.add((kind, place))
        else:
            self.look_closer()

    def alarm(self, check: Check, found: Found, event: Event) -> None:
        """Note what a check has found; the same hazard at the same place only counts."""
        place = found.place or event.place
        known = self._alarms.get((check.code, place))
        planted = bool(self.planted)
        if known is None:
            if len(self._alarms) >= _MOST_ALARMS:
                self.problem(f"more than {_MOST_ALARMS} different alarms; further ones were dropped")
                return
            frames = _frames_of(event) or self.frames.stack() if place == event.place else ()
            alarm = Alarm(
                code=check.code,
                message=found.message,
                remedy=check.remedy,
                step=event.step,
                last_step=event.step,
                frames=frames or self.frames.at(place),
                values=found.values,
                notes=found.notes,
                planted=planted,
            )
        else:
            alarm = _again(known, event.step, planted=planted)
        self._alarms[check.code, place] = alarm

    def alarmed(self, codes: tuple[str, ...]) -> bool:
        """Whether one of these was seen: what follows from it is not told as a hazard of its own."""
        return any(code in codes for code, _place in self._alarms)

    def problem(self, sentence: str) -> None:
        if sentence not in self.problems:
            self.problems.append(sentence)

    def has_entered(self, dtype: str) -> bool:
        """Whether an enabled autocast region of this dtype has been entered so far."""
        return any(name.endswith(f" {dtype}") for name in self._autocast)

    def region(self, name: str) -> None:
        self._autocast[name] += 1
        self.entered += 1

    def entered_for(self, device: str) -> bool:
        """Whether autocast has been on for this type of device."""
        return any(name.startswith(f"{device} ") for name in self._autocast)

    def meet(self, optimizer: Any) -> None:
        known = self.optimizers.get(id(optimizer))
        if known is None or known() is not optimizer:
            self.optimizers[id(optimizer)] = weakref.ref(optimizer)

    def scale_of(self, scaler: int) -> float | None:
        """Return the scale of a scaler, by id, where reading it waits for no device."""
        seen = self.scalers.get(scaler)
        found = None if seen is None else seen.scaler()
        tensor = None if found is None else found._scale
        if tensor is None:
            return None if found is None else float(found._init_scale)
        return float(tensor) if self.reads(tensor) else None

    def raised(self, error: BaseException, *, in_backward: bool = False) -> None:
        """Tell of an exception that passes by, once."""
        if self.muted or not isinstance(error, Exception) or getattr(error, _TOLD, False):
            return
        setattr(error, _TOLD, True)
        frames = self.frames.of_error(error)
        self.emit(
            ProgramRaised(
                place=(frames[-1].path, frames[-1].line) if frames else self.place(),
                step=self.step,
                error=error,
                regions=tuple(self.local.regions),
                frames=tuple(frames),
                in_backward=in_backward,
            )
        )

    @staticmethod
    def reads(tensor: Any) -> bool:
        """Whether reading the tensor waits for no device: it lies in the host's memory, as on an emulated device."""
        return bool(tensor.is_cpu) or is_emulating()

    def settle(self, gradients: Iterable[Gradient]) -> None:
        """Take the gradients as they are now as known, in a step in which they are looked at one by one."""
        if self.close:
            for gradient in gradients:
                gradient.settle()

    def end_step(self, *, loss: float | None, skipped: bool) -> None:
        self.window.close()
        now = time.perf_counter()
        seen = StepSeen(
            step=self.step,
            loss=loss,
            scale=next((self.scale_of(scaler) for scaler in self.scalers), None),
            skipped=skipped,
            seconds=now - self._since,
            deep=self.deep,
            planted=self.planted,
        )
        self.timeline.add(seen)
        self._since = now
        self.step += 1
        self.rested += self.resting
        self.planted = ""
        self.deep = False
        self.scale_nodes.clear()
        self._choose_level()

    def look_closer(self, *, trouble: bool = True) -> None:
        """Look at the next steps closely, whatever their turn: something happened that they may explain."""
        self._close_until = max(self._close_until, self.step + _AFTER_TROUBLE)
        if trouble:
            self._whole_until = max(self._whole_until, self.step + _WHOLE)

    def _choose_level(self) -> None:
        every = _EVERY if self.step <= self._whole_until else _EVERY * _WATCHED
        close = self.step <= max(_FIRST, self._close_until) or self.step % every == 0
        resting = not close and self._may_rest()
        if (close and not self.close) or (self.resting and not resting):
            self.gradients.settle()
        self.close, self.resting = close, resting

    def _may_rest(self) -> bool:
        """Whether the step that begins may be left alone: all has been as before for long, and it begins afresh."""
        turn = self.step > self._whole_until and self.step % _WATCHED != 0
        return turn and self.rests and not self.local.regions and not self.local.backward

    def alarms(self) -> tuple[Alarm, ...]:
        return tuple(sorted(self._alarms.values(), key=lambda alarm: (alarm.step, alarm.code, alarm.message)))

    def report(self) -> SanitizerReport:
        timeline = self.timeline
        watched = Watched(
            steps=self.step - 1,
            rested_steps=self.rested,
            backwards=self._counts[BackwardStarting],
            optimizer_steps=self._counts[OptimizerStepped],
            skipped_steps=timeline.skipped,
            scalers=len(self.scalers),
            deep_steps=timeline.deep,
            autocast=dict(sorted(self._autocast.items())),
            events=dict(sorted((kind.__name__, number) for kind, number in self._counts.items())),
            looked={
                code: tuple(f"{path}:{line}" for path, line in sorted(places))
                for code, places in sorted(self._looked.items())
            },
        )
        return SanitizerReport(
            watched=watched,
            alarms=self.alarms(),
            timeline=timeline.thinned(),
            problems=tuple(self.problems),
            replaced=tuple(self.replaced),
        )


def _again(known: Alarm, step: int, *, planted: bool) -> Alarm:
    return replace(known, last_step=step, count=known.count + 1, planted=known.planted and planted)


def _frames_of(event: Event) -> tuple[Frame, ...]:
    """Return the frames of an exception, which were left already when it is told of."""
    return event.frames if isinstance(event, ProgramRaised) else ()
