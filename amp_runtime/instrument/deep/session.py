"""One step under watch: every operator goes by here, and the record comes out."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..patches import Patches
from .autocast_state import AutocastState
from .births import Births
from .call import Call, plain
from .casts import Casts
from .domains import check_domains
from .facts import Facts
from .gradients import Gradients
from .guards import Unseen
from .losses import Losses
from .memory import Memory
from .names import Names
from .operators import HALF, describe
from .ranges import Ranges
from .readings import Readings
from .records import DeepStep, Deviation, ShadowSeen
from .regions import check_regions
from .scalars import check_scalars
from .shadows import Shadows
from .sites import Sites
from .syncs import Syncs
from .updates import Updates
from .work import Workload

if TYPE_CHECKING:
    from .ranges import Seen
    from .stacks import Stacks

_WORST = 200  # deviations that are kept


class Session:
    """Everything about one step. A failure of ours ends the watching, is said in the record, and nothing else.

    Args:
        stacks: reads call stacks; kept from step to step for what it has learnt of files.
        budget_bytes: what FP32 shadows may take; 0 for none.
    """

    def __init__(self, stacks: Stacks, budget_bytes: int) -> None:
        self._stacks = stacks
        self._lock = threading.RLock()  # the engine has a thread for each device
        self._patches = Patches()
        self._problems: list[str] = []
        self._unseen: Counter[str] = Counter()
        self._count = 0
        self._begun = time.perf_counter()
        self._begin: dict[int, Any] = {}
        self.open = True
        self._assemble(budget_bytes)

    def _assemble(self, budget_bytes: int) -> None:
        self._names = Names()
        self._facts = Facts()
        self._readings = Readings()
        self._memory = Memory(budget_bytes)
        if not budget_bytes:
            self._memory.stop("no memory is allowed for FP32 shadows")
        self._sites = Sites(self._stacks, self._names)
        self._shadows = Shadows(self._memory, self._readings)
        self._births = Births(self._facts)
        checks = (self._births, self._domains)
        self._ranges = Ranges(self._memory, self._readings, self._names, checks)
        self._gradients = Gradients(self._shadows, self._memory, self._names, self._readings)
        self._work = Workload(self._memory, self._names)
        self._casts = Casts(self._names)
        self._syncs = Syncs()
        self._losses = Losses(self._facts, self._readings)
        self._autocast = AutocastState()
        self._updates = Updates(self._facts, self._readings, self._names)

    def install(self) -> None:
        self._autocast.install(self._patches)

    def before(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        """Look at an operator that is about to run; None if it is not looked into."""
        if not self.open:
            return None
        try:
            with self._lock, Unseen():
                return self._before(func, args, kwargs)
        except Exception as error:
            self._fail(error)
        return None

    def after(self, call: Call, out: Any) -> None:
        """Look at what came out."""
        if not self.open:
            return
        try:
            with self._lock, Unseen():
                self._after(call, out)
        except Exception as error:
            self._fail(error)

    def guarded(self, work: Callable[[], None]) -> None:
        """Do something of ours in the middle of the program."""
        if not self.open:
            return
        try:
            with self._lock, Unseen():
                work()
        except Exception as error:
            self._fail(error)

    def close(self) -> DeepStep:
        """End the watching and return what was seen."""
        self._patches.undo()
        seconds = time.perf_counter() - self._begun
        self.guarded(self._finish)
        self.open = False
        try:
            return self._record(seconds)
        except Exception as error:
            self._fail(error)
            return DeepStep(operators=self._count, seconds=seconds, problems=tuple(self._problems))
        finally:
            self._memory.clear()

    def _before(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        call = self._wanted(func, args, kwargs)
        if call is None:
            return None
        self._count += 1
        call.number = self._count
        self._locate(call)
        self._gradients.before(call)
        if call.operator.views:
            return None
        self._updates.before(call)
        self._syncs.before(call)
        check_regions(call, self._autocast, self._facts)
        if call.in_passes:
            check_scalars(call, self._facts)
            held = self._losses.before(call)
            ranges = self._ranges.before(call)
            self._shadows.before(call)
            call.begun = (held, ranges)
        return call

    def _wanted(self, func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        """Return the call, or count why it is not looked into."""
        reason = ""
        if not isinstance(func, torch._ops.OpOverload):
            reason = "higher-order operator"
        elif torch._C._functorch.peek_interpreter_stack() is not None:
            reason = "function transform"
        else:
            call = Call(func, describe(func), args, kwargs)
            if all(plain(tensor) for _, tensor in call.inputs):
                call.where = self._stacks.where()
                if not call.where.compiled:
                    return call
                self._name_compiled()
                reason = "compiled region"
            else:
                reason = "tensor subclass, sparse or meta tensor"
        self._unseen[reason] += 1
        return None

    def _name_compiled(self) -> None:
        root = self._stacks.outermost_module()
        if root is not None and not self._names.known(root):
            self._names.add(root, root)

    def _locate(self, call: Call) -> None:
        call.place = self._sites.place(call.operator.name, call.where)
        call.recomputed = call.forward and torch._C._current_graph_task_id() != -1
        device = next((tensor.device.type for _, tensor in call.inputs), "cpu")
        call.autocast = self._autocast.enabled(device)
        differentiates = torch.is_grad_enabled() and any(tensor.requires_grad for _, tensor in call.inputs)
        if call.forward and (differentiates or call.where.applies):
            self._sites.makes_node(call.place)

    def _after(self, call: Call, out: Any) -> None:
        call.ran(out)
        self._shadows.after(call)
        self._ranges.after(call, None if call.begun is None else call.begun[1])
        if call.begun is not None:
            self._source(call)
            self._losses.after(call, call.begun[0])
            self._casts.after(call)
        self._work.after(call)
        if self._readings.due:
            self._readings.read()

    def _source(self, call: Call) -> None:
        """Note for what comes out of a cast from half that it has been there."""
        if call.operator.name != "aten._to_copy" or not call.results:
            return
        source, result = call.args[0], call.results[0][1]
        cell = self._memory.find(result) if result.dtype is torch.float32 else None
        if cell is not None and source.dtype in HALF:
            cell.half = source.dtype

    def _domains(self, seen: Seen) -> None:
        check_domains(seen, self._facts)

    def _fail(self, error: Exception) -> None:
        self.open = False
        last = traceback.extract_tb(error.__traceback__)[-1]
        self._problems.append(
            f"watching ended after {self._count} operators because of {type(error).__name__}: {error} "
            f"({last.name}, line {last.lineno}); the program went on without it"
        )
        self._memory.clear()

    def _finish(self) -> None:
        self._casts.finish()
        self._updates.settle()
        self._readings.read()

    def _record(self, seconds: float) -> DeepStep:
        return DeepStep(
            operators=self._count,
            seconds=seconds,
            births=tuple(sorted(self._births.found, key=lambda birth: birth.number)),
            facts=self._facts.records(),
            gradients=self._gradients.records(),
            losses=self._gradients.losses(),
            deviations=self._deviations(),
            shadow=self._shadow(),
            work=self._work.records(),
            promotions=self._work.promotions(),
            casts=self._casts.records(),
            weight_recasts=self._casts.weights_again(),
            syncs=self._syncs.records(),
            scale=self._gradients.scale(),
            unseen=dict(sorted(self._unseen.items())),
            problems=(*self._problems, *self._shortcomings()),
        )

    def _deviations(self) -> tuple[Deviation, ...]:
        ranked = sorted(self._shadows.worst.items(), key=lambda item: -item[1][0])[:_WORST]
        return tuple(
            Deviation(site=place.site(), error=error, inherited=inherited, count=count)
            for place, (error, inherited, count) in ranked
        )

    def _shadow(self) -> ShadowSeen:
        return ShadowSeen(
            operators=self._shadows.operators,
            taken=dict(sorted(self._shadows.taken.items())),
            peak_bytes=self._memory.peak_bytes,
            stopped=self._memory.stopped,
        )

    def _shortcomings(self) -> list[str]:
        """Say what the figures leave out."""
        found = []
        if self._facts.left_out:
            found.append(f"{self._facts.left_out} facts at further places were left out")
        for name, count in sorted(self._work.without_formula.items()):
            found.append(f"the arithmetic of {count} calls of {name} is not counted: torch's formula fails on them")
        for name in sorted(self._gradients.unread):
            found.append(f"a gradient that arrived by {name} was not compared")
        return found
