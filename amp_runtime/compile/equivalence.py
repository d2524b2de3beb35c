"""Whether a compiled model gives what the eager one gives, in one pass and precision, both held against float64."""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from .deciding import TensorComparison, verdict
from .disturbing import Disturbance, roundoff_of
from .errors import Errors, comparable
from .reference import RandomDtypes, Widened, take_over, widen
from .running import Result, run_once
from .state import Buffers

if TYPE_CHECKING:
    from collections.abc import Callable

    from .compiler import CompilerWatch
    from .errors import ErrorFigures
    from .running import Conditions, Seen
    from .trees import Sample

_ORDER = ("output", "buffer", "input", "gradient")  # an output that is wrong explains gradients that are
_FOLLOWS = 0.9  # cosine of eager and float64, below which the one does not compute what the other does
_NO_RANDOM_ORDER = (
    "the compiled model draws random numbers in another order than the eager one, so that they cannot be compared; "
    "set what is random (dropout) to zero for the validation, or use a backend that can follow eager mode"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassComparison:
    """One pass in one precision.

    Args:
        reasons: why it is not equivalent; empty where it is.
        first_call_s, call_s: the first compiled call, which compiles, and the median of the others, both with backward.
        first_compiled_for: reasons why the first call did not use code that was there.
        recompilations: reasons why code was compiled again after the first call, on inputs of the same shapes.
    """

    precision: str
    which: str
    samples: int
    tensors: tuple[TensorComparison, ...]
    reasons: tuple[str, ...]
    first_call_s: float
    call_s: float
    first_compiled_for: tuple[str, ...]
    recompilations: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.reasons

    @property
    def worst_ratio(self) -> float:
        """The largest ratio of a compiled tensor's error to the eager one's."""
        ratios = [one.rmse_ratio for one in self.tensors if math.isfinite(one.rmse_ratio)]
        return max(ratios, default=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is compared: the compiled callable, the model it was made of, and its float64 form."""

    compiled: Callable[..., Any]
    model: torch.nn.Module
    reference: torch.nn.Module


def try_eager(model: torch.nn.Module, sample: Sample, conditions: Conditions) -> tuple[Conditions, bool]:
    """Call the eager model once: under which conditions it can be, and whether it draws random numbers.

    A tensor that needs a gradient cannot be written into, so a model that writes into its inputs gets them without.
    """
    buffers = Buffers(model)
    try:
        with RandomDtypes() as drawn:
            run_once(model, model, sample, conditions)
    except RuntimeError:
        if not conditions.input_gradients or not conditions.with_gradients:
            raise
        buffers.restore()
        return try_eager(model, sample, replace(conditions, input_gradients=False))
    finally:
        buffers.restore()
    return conditions, bool(drawn.seen)


def compare_pass(
    subject: Subject, sample: Sample, conditions: Conditions, *, samples: int, watch: CompilerWatch
) -> PassComparison:
    """Run eager, compiled and float64 on the same disturbed samples, and judge every tensor.

    The model is left with disturbed parameters; its buffers are as before.

    Raises:
        ValueError: the float64 form cannot be run. What the model and the compiler raise is not caught.
    """
    roundoff = roundoff_of(conditions.precision, conditions.device)
    disturbance = Disturbance(subject.model, sample, roundoff, conditions.seed)
    runner = _Runner(subject, conditions)
    book, seconds = _Book(), []
    compiled_for: list[tuple[str, ...]] = []
    watch.compiled_again()
    for number in range(samples):
        given = disturbance.at(number)
        eager = runner.eager(given)
        started = time.perf_counter()
        compiled = runner.compiled(given)
        seconds.append(time.perf_counter() - started)
        compiled_for.append(watch.compiled_again())
        book.enter(runner.exact(given), eager, compiled)
    disturbance.at(0)
    tensors = book.judged()
    reasons = [f"{one.name}: {one.reason}" for one in sorted(tensors, key=_rank) if not one.holds]
    if runner.out_of_order:
        reasons = [_NO_RANDOM_ORDER]
    elif lost := _lost(tensors):
        reasons = [lost]
    return PassComparison(
        precision=conditions.precision,
        which=conditions.which,
        samples=samples,
        tensors=tensors,
        reasons=(*book.others(roundoff), *reasons),
        first_call_s=seconds[0],
        call_s=statistics.median(seconds[1:]),
        first_compiled_for=compiled_for[0],
        recompilations=tuple(reason for reasons in compiled_for[1:] for reason in reasons),
    )


def _rank(one: TensorComparison) -> int:
    return _ORDER.index(one.kind) if one.kind in _ORDER else len(_ORDER)


class _Runner:
    """Runs the three forms, each from the same buffers and the same state of the random generators."""

    def __init__(self, subject: Subject, conditions: Conditions) -> None:
        self._subject = subject
        self._conditions = conditions
        self._buffers = Buffers(subject.model)
        self._drawn: list[torch.dtype | None] | None = None
        self._generators: torch.Tensor | None = None
        self.out_of_order = False

    def eager(self, sample: Sample) -> Result:
        model = self._subject.model
        if self._drawn is None:
            with RandomDtypes() as drawn:
                found = run_once(model, model, sample, self._conditions)
            self._drawn = drawn.seen
        else:
            found = run_once(model, model, sample, self._conditions)
        self._generators = self._generator_state()
        self._buffers.restore()
        return found

    def compiled(self, sample: Sample) -> Result:
        found = run_once(self._subject.compiled, self._subject.model, sample, self._conditions)
        if self._drawn and self._generators is not None and not torch.equal(self._generator_state(), self._generators):
            self.out_of_order = True
        self._buffers.restore()
        return found

    def exact(self, sample: Sample) -> Result:
        reference = self._subject.reference
        take_over(reference, self._subject.model)
        conditions = replace(self._conditions, precision="fp32")
        try:
            with Widened(self._drawn or []):
                return run_once(reference, reference, sample.changed(widen), conditions)
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            first = str(error).partition("\n")[0]
            raise ValueError(f"the model cannot be run in float64: {type(error).__name__}: {first}") from error

    def _generator_state(self) -> torch.Tensor:
        device = self._conditions.device
        return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


class _Book:
    """The results of all samples, tensor by tensor."""

    def __init__(self) -> None:
        self._errors: dict[str, Errors] = {}
        self._first: dict[str, Seen] = {}
        self._unlike: dict[str, str] = {}
        self._pairs: list[tuple[Result, Result]] = []

    def enter(self, exact: Result, eager: Result, compiled: Result) -> None:
        for name in sorted(eager.tensors.keys() ^ compiled.tensors.keys()):
            self._unlike[name] = "only one of compiled and eager has it"
        for name, one in eager.tensors.items():
            if name in compiled.tensors:
                self._enter_one(name, exact.tensors.get(name), one, compiled.tensors[name])
        self._pairs.append((Result(others=eager.others), Result(others=compiled.others)))

    def _enter_one(self, name: str, exact: Seen | None, eager: Seen, compiled: Seen) -> None:
        self._first.setdefault(name, eager)
        problem = "in float64 there is none" if exact is None else comparable(exact, eager, compiled)
        if problem:
            self._unlike.setdefault(name, problem)
        elif exact is not None and None not in (exact.values, eager.values, compiled.values):
            book = self._errors.setdefault(name, Errors())
            book.add(exact.values, eager.values, compiled.values)  # type: ignore[arg-type]

    def judged(self) -> tuple[TensorComparison, ...]:
        figures = {name: errors.figures() for name, errors in self._errors.items()}
        scales: dict[str, float] = {}
        for name, seen in figures.items():
            kind = self._first[name].kind
            scales[kind] = max(scales.get(kind, 0.0), seen.rms)
        names = [*self._first, *(name for name in self._unlike if name not in self._first)]
        return tuple(self._judge(name, figures.get(name), scales) for name in names)

    def _judge(self, name: str, figures: ErrorFigures | None, scales: dict[str, float]) -> TensorComparison:
        first = self._first.get(name)
        kind = first.kind if first is not None else "output"
        if name in self._unlike or figures is None or first is None:
            return TensorComparison(name=name, kind=kind, figures=figures, reason=self._unlike.get(name, ""))
        reason = verdict(figures, _roundoff(first.dtype), scales[kind])
        return TensorComparison(name=name, kind=kind, figures=figures, reason=reason)

    def others(self, roundoff: float) -> tuple[str, ...]:
        """Return what is wrong with outputs that are no tensors, in more than half of the samples."""
        wrong: dict[str, int] = {}
        for eager, compiled in self._pairs:
            for path in eager.others.keys() | compiled.others.keys():
                missing = path not in eager.others or path not in compiled.others
                if missing or not _same(eager.others[path], compiled.others[path], roundoff):
                    wrong[path] = wrong.get(path, 0) + 1
        return tuple(
            f"{path}: eager and compiled are not the same"
            for path, count in sorted(wrong.items())
            if 2 * count > len(self._pairs)
        )


def _roundoff(dtype: torch.dtype | None) -> float:
    floating = dtype is not None and (dtype.is_floating_point or dtype.is_complex)
    return float(torch.finfo(dtype).eps) / 2 if dtype is not None and floating else 0.0


def _same(eager: Any, compiled: Any, roundoff: float) -> bool:
    if isinstance(eager, float) and isinstance(compiled, float):
        close = math.isclose(eager, compiled, rel_tol=64 * roundoff, abs_tol=roundoff)
        return close or (math.isnan(eager) and math.isnan(compiled))
    if type(eager) is not type(compiled):
        return False
    comparable_by_value = getattr(type(eager), "__eq__", None) is not object.__eq__
    return bool(eager == compiled) if comparable_by_value else True


def _lost(tensors: tuple[TensorComparison, ...]) -> str:
    """Return why nothing can be decided where the float64 form computes something else than the eager model."""
    cosines = [one.figures.cosine_eager for one in tensors if one.kind == "output" and one.figures is not None]
    known = [cosine for cosine in cosines if not math.isnan(cosine)]
    if known and max(known) < _FOLLOWS:
        return (
            f"the float64 form of the model does not follow its eager form (cosine {max(known):.3g}), so nothing can "
            "be decided: its random numbers cannot be aligned, or the model amplifies rounding beyond use"
        )
    return ""
