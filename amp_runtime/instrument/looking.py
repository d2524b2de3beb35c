"""Looks at what a program does with gradients that carry the loss scale, operation by operation."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from .carriers import CLAMPED, MASKED, OFFSET, Carrier, Operand, known, outcome
from .scaling_events import GradientsTouched

if TYPE_CHECKING:
    from .run import Run

How = Literal["masked", "clamped", "offset", "normalised", "clipped", "observed"]
_HOW: dict[str, How] = {MASKED: "masked", CLAMPED: "clamped", OFFSET: "offset"}
_READ = frozenset(("_local_scalar_dense", "histc"))
_EMPTIED = frozenset(("zero", "zeros_like", "empty_like", "ones_like", "full_like", "rand_like", "randn_like", "fill"))
_FOLLOWED = 20_000  # operations on gradients in one look; beyond, nothing more is followed


class Look(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """While it is entered, follows a set of gradients through the operations of this thread."""

    def __init__(self, run: Run, gradients: Iterable[Any], scale: float | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._run = run
        self._scale = scale
        self._carriers: dict[int, Carrier] = {}
        self._gradients: dict[int, str] = {}  # storage -> "", "written" as the scale allows it, or "unknown"
        self._touched: dict[tuple[How, tuple[str, int]], GradientsTouched] = {}
        self._read: dict[tuple[str, int], Carrier] = {}
        self._excused: set[tuple[str, int]] = set()
        self._factor: float | None = None
        self._thread = 0
        self.live = True
        self._waiting = list(gradients)  # until the program does anything at all: most do not

    def _begin(self) -> None:
        for tensor in self._waiting:
            if (key := _storage(tensor)) and len(self._carriers) < _FOLLOWED:
                self._carriers[key] = Carrier(alive=[weakref.ref(tensor)])
                self._gradients[key] = ""
        self._waiting.clear()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self._waiting and self.live:
            self._begin()
        result = func(*args, **(kwargs or {}))
        if self.live and not self._run.muted:
            self._run.local.quiet += 1
            try:
                self._follow(func, args, kwargs or {}, result)
            finally:
                self._run.local.quiet -= 1
        return result

    def state(self, tensor: Any) -> str:
        """Return "followed" where all that was written into a gradient is understood, else "unknown"."""
        self._begin()
        key = _storage(tensor)
        if key in self._gradients:
            return self._gradients[key] or "followed"
        carrier = self._carriers.get(key)
        if carrier is None or not _alive(carrier):
            return "unknown"
        self._judge(carrier)  # the gradient was replaced by what was computed
        return "unknown" if carrier.undone else "followed"

    def events(self, *, clipped: bool, asked: bool) -> list[GradientsTouched]:
        """Return what was seen, and look no more.

        Args:
            clipped: what was read goes into a clip, which is told by itself.
            asked: the program has asked for the scale meanwhile, and so may have divided what it read.
        """
        self.live = False
        self._waiting.clear()
        if not clipped and not asked and not any(how == "clipped" for how, _place in self._touched):
            for place, carrier in self._read.items():
                if place not in self._excused:
                    self._tell("observed", carrier)
        return list(self._touched.values())

    @staticmethod
    def possible() -> bool:
        """Whether no other mode is active: then ours can come and go."""
        return not _get_current_dispatch_mode_stack()

    def enter(self) -> None:
        self._thread = threading.get_ident()
        self.__enter__()  # type: ignore[no-untyped-call]

    def leave(self) -> bool:
        """Take the mode away if it is the innermost one, else let it rest where it is."""
        self.live = False
        if threading.get_ident() != self._thread:
            return False
        stack = _get_current_dispatch_mode_stack()
        if not stack or stack[-1] is not self:
            return False
        self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        return True

    def judge_result(self, tensor: Any) -> None:
        """Look at what a gradient hook has returned."""
        self._begin()
        carrier = self._carriers.get(_storage(tensor))
        if carrier is not None and _alive(carrier):
            self._judge(carrier)

    def _follow(self, func: Any, args: Sequence[Any], kwargs: dict[str, Any], result: Any) -> None:
        schema = func._schema
        name = schema.name.partition("::")[2].removeprefix("_foreach_").rstrip("_")
        tensors = [one for part in (*args, *kwargs.values()) for one in _tensors(part)]
        there = [one for one in tensors if self._of(one) is not None]
        if not there:
            return
        written = [
            tensor
            for argument, value in _bound(schema, args, kwargs)
            if argument.alias_info is not None and argument.alias_info.is_write
            for tensor in _tensors(value)
        ]
        if schema.name.startswith("_foreach_") or any(isinstance(one, (list, tuple)) for one in args[:1]):
            self._follow_lists(name, args, written, result)
            return
        operands = self._operands(args)
        self._factor = _lone_number(name, operands)
        made = self._made(name, operands)
        for tensor in written or list(_tensors(result)):
            self._keep(tensor, made, name, bool(written))

    def _follow_lists(self, name: str, args: Sequence[Any], written: Sequence[Any], result: Any) -> None:
        """Follow an operation on lists of tensors: one by one where they are written, else all alike."""
        lists = [list(one) if isinstance(one, (list, tuple)) else one for one in args]
        if written:
            for index, tensor in enumerate(written):
                operands = self._operands([part[index] if isinstance(part, list) else part for part in lists])
                self._factor = _lone_number(name, operands)
                self._keep(tensor, self._made(name, operands), name, True)
            return
        operands = [one for part in lists for one in self._operands(part if isinstance(part, list) else [part])]
        made = self._made(name, operands[:1] if name in ("cat", "stack", "norm") else operands)
        for tensor in _tensors(result):
            self._keep(tensor, made, name, False)

    def _operands(self, args: Sequence[Any]) -> list[Operand]:
        found: list[Operand] = []
        for one in args:
            if isinstance(one, torch.Tensor):
                carrier = self._of(one)
                found.append(carrier if carrier is not None else _number(one))
            elif isinstance(one, (list, tuple)):
                found += [carrier for part in one if (carrier := self._of(part)) is not None]
            elif isinstance(one, (int, float)) and not isinstance(one, bool):
                found.append(float(one))
        return found

    def _made(self, name: str, operands: Sequence[Operand]) -> Carrier | str | None:
        if name in _READ:
            for one in operands:
                if isinstance(one, Carrier) and one.power and not one.finite and not one.reduced:
                    self.note_reading(replace(one, place=self._run.place(), operator=name))
            return None
        if name == "copy":
            source = operands[1] if len(operands) > 1 else None
            return source if isinstance(source, Carrier) else "unknown"
        if name in _EMPTIED:
            return None
        if not any(isinstance(one, Carrier) for one in operands):
            return "unknown"
        made = outcome(name, operands, self._scale) if known(name) else "unknown"
        if isinstance(made, Carrier) and (made.finite or made.undone):  # it was looked at for that alone
            self._excused.update(*(one.read_at for one in operands if isinstance(one, Carrier)))
        return made

    def _keep(self, tensor: Any, made: Carrier | str | None, name: str, wrote: bool) -> None:
        key = _storage(tensor)
        if not key:
            return
        if wrote and key in self._gradients:
            self._wrote(key, made, name)
            return
        if not isinstance(made, Carrier) or len(self._carriers) >= _FOLLOWED:
            self._carriers.pop(key, None)
            return
        old = self._carriers.get(key)
        if old is not None and not wrote and _alive(old) and key in self._gradients:
            return  # a view of a gradient
        carrier = replace(made, place=self._run.place(), operator=name, alive=[weakref.ref(tensor)])
        if old is not None and _alive(old):
            carrier.alive += old.alive
        self._carriers[key] = carrier
        if carrier.reduced and not carrier.read_at and carrier.power and not carrier.finite:
            carrier.read_at = frozenset([carrier.place])
            self.note_reading(carrier)

    def note_reading(self, carrier: Carrier) -> None:
        """Note a number made of gradients, which is there to be read unless it becomes a part of something else."""
        self._read.setdefault(carrier.place, carrier)

    def reads(self, tensor: Any, operator: str) -> None:
        """Note that the program takes a gradient out of torch."""
        self._begin()
        carrier = self._of(tensor)
        if carrier is not None and carrier.power and not carrier.finite and not carrier.reduced:
            self.note_reading(replace(carrier, place=self._run.place(), operator=operator))

    def _wrote(self, key: int, made: Carrier | str | None, name: str) -> None:
        if isinstance(made, str):
            self._gradients[key] = "unknown"
        elif made is None:
            self._gradients[key] = self._gradients[key] or "followed"
        else:
            carrier = replace(made, place=self._run.place(), operator=name)
            self._judge(carrier)
            self._gradients[key] = "unknown" if made.undone else "followed"

    def _judge(self, carrier: Carrier) -> None:
        """Say what is wrong with a value that a gradient has got."""
        self._excused |= carrier.read_at
        if carrier.wrong == MASKED:
            self._tell("masked", carrier)
        elif carrier.undone:
            return
        elif carrier.reduced and carrier.power == 0:
            by_factor = carrier.operator == "mul" or carrier.wrong == CLAMPED
            self._tell("clipped" if by_factor else "normalised", carrier)
        elif carrier.wrong:
            self._tell(_HOW[carrier.wrong], carrier)
        elif carrier.power != 1:
            self._tell("normalised", carrier)
        elif self._factor is not None and self._read and not _is_share(self._factor):
            self._tell("clipped", carrier)  # by a number that it made of what it has read

    def _tell(self, how: How, carrier: Carrier) -> None:
        known_event = self._touched.get((how, carrier.place))
        if known_event is not None:
            known_event.count += 1
            return
        self._touched[how, carrier.place] = GradientsTouched(
            place=("", 0),
            step=self._run.step,
            at=carrier.place,
            how=how,
            operator=carrier.operator,
            count=1,
            scale=self._scale,
        )

    def _of(self, tensor: Any) -> Carrier | None:
        if not isinstance(tensor, torch.Tensor):
            return None
        carrier = self._carriers.get(_storage(tensor))
        return carrier if carrier is not None and _alive(carrier) else None


def _alive(carrier: Carrier) -> bool:
    return any(one() is not None for one in carrier.alive)


def _storage(tensor: Any) -> int:
    """Return where the memory of a tensor begins; 0 where it has none of its own, as sparse ones."""
    if tensor is None or tensor.layout is not torch.strided or tensor.device.type == "meta":
        return 0
    return int(tensor.untyped_storage().data_ptr())


def _tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)


def _bound(schema: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    for index, argument in enumerate(schema.arguments):
        if index < len(args):
            yield argument, args[index]
        elif argument.name in kwargs:
            yield argument, kwargs[argument.name]


def _number(tensor: Any) -> float | None:
    """Return the number of a one-element tensor that can be read without waiting."""
    return float(tensor) if tensor.numel() == 1 and tensor.device.type == "cpu" else None


def _lone_number(name: str, operands: Sequence[Operand]) -> float | None:
    """Return the number that a gradient is multiplied or divided by."""
    if name not in ("mul", "div") or len(operands) != 2 or not isinstance(operands[0], Carrier):
        return None
    number = operands[1]
    return number if isinstance(number, float) else None


def _is_share(number: float) -> bool:
    """Whether it is a whole number or one over one, as the number of processes or of micro-batches is."""
    if not number:
        return True
    whole = number if abs(number) >= 1 else 1 / number
    return abs(whole - round(whole)) < 1e-6 * abs(whole)
