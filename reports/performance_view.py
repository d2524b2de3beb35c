"""Decides what the page of stage 4 shows of its facts: verdicts, figures, memory, noise, saved runs, how to repeat."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reports.escape import code, prose
from reports.facts import Row, as_number, rows, section, text, texts, whole
from reports.figures import duration, figure, listed, plural
from reports.saved_runs import MODES, SavedRuns, mode_name, percent, saved_runs
from reports.table import Cell, Table, table
from verifier.api import GateStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from markupsafe import Markup

    from reports.performance_plots import Plot
    from verifier.api import Gate, Json

_SAYS = {
    GateStatus.PASS: "met",
    GateStatus.FAIL: "NOT MET",
    GateStatus.WARN: "not decided",
    GateStatus.DEFERRED: "not decided here",
}
_FIGURES = {
    "speedup": "speedup, FP32 time / AMP time",
    "throughput": "AMP steps",
    "sample-throughput": "AMP samples",
    "memory-reduction": "activations saved",
    "whole-reduction": "whole memory saved",
    "accuracy-difference": "accuracy, AMP less FP32",
    "loss-difference": "loss, AMP less FP32",
    "roofline-share": "share of the roofline",
    "compile-speedup": "speedup by torch.compile",
}
_KINDS = ("weights", "gradients", "optimizer_state", "activations", "weight_copies", "whole", "allocator_peak")


@dataclass(frozen=True, slots=True)
class PerformanceView:
    """The detail sections of stage 4; an empty one is left out."""

    verdicts: tuple[tuple[str, str, str], ...]
    times: Table
    figures: Table
    missing: Table
    memory: Table
    compiled: Table
    roofline: Table
    noise: Table
    noise_note: str
    baselines: tuple[SavedRuns, ...]
    conditions: Table
    methods: tuple[str, ...]
    plots: tuple[Plot, ...]
    plots_note: str
    repeat: str

    def __bool__(self) -> bool:
        return bool(self.verdicts or self.times)


def performance_view(facts: Row, gates: Sequence[Gate], task: str, plots: Sequence[Plot] | None) -> PerformanceView:
    """Build the view.

    Args:
        plots: beside the report; None: there is nothing to draw with.
    """
    measured = rows(facts, "measurements")
    return PerformanceView(
        verdicts=tuple((gate.name, _SAYS[gate.status], gate.requirement) for gate in gates),
        times=_times(measured),
        figures=_figures(measured),
        missing=_missing(measured),
        memory=_memory(measured),
        compiled=_compiled(measured),
        roofline=_roofline(measured),
        noise=_noise(measured),
        noise_note=_noise_note(measured),
        baselines=tuple(saved_runs(one) for one in rows(facts, "baselines")),
        conditions=_conditions(measured),
        methods=tuple(_methods(measured)),
        plots=tuple(plots or ()),
        plots_note=""
        if plots is not None or not measured
        else "Nothing was drawn: matplotlib is missing (extra `plots` of verify-amp).",
        repeat=f"verify {shlex.quote(task)} --stage performance" if measured else "",
    )


def _name(row: Row) -> Markup:
    return code(text(row, "name"), cell=True)


def _times(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|Mode|Step, ms|Steps/s|Import, s|Build, s|First step, s",
        (
            (
                _name(one),
                label,
                _ms(mode.get("step_s")),
                figure(mode.get("steps_per_s")),
                *(_seconds(mode.get(key)) for key in ("import_s", "build_s", "first_step_s")),
            )
            for one in measured
            for key, label in MODES.items()
            if (mode := section(section(one, "modes"), key))
        ),
        right="Step, ms|Steps/s|Import, s|Build, s|First step, s",
    )


def _ms(value: Json) -> str:
    number = as_number(value)
    return "" if number is None else f"{1000 * number:.4g}"


def _seconds(value: Json) -> str:
    return "" if value is None else duration(value)


def _figures(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|Figure|Value|Interval|Confidence|Samples|Format|Device",
        (
            (
                _name(one),
                _FIGURES.get(name, name),
                _valued(row, "value"),
                "exact" if _is_exact(row) else f"{_valued(row, 'low')} to {_valued(row, 'high')}",
                percent(row.get("confidence")),
                whole(row, "samples"),
                text(row, "dtype", "not stated"),
                text(row, "device"),
            )
            for one in measured
            for name, row in _sections(section(one, "figures"))
        ),
        right="Value|Confidence|Samples",
    )


def _sections(parent: Row) -> Iterator[tuple[str, Row]]:
    for name in parent:
        if row := section(parent, name):
            yield name, row


def _is_exact(row: Row) -> bool:
    return row.get("low") == row.get("high") and row.get("confidence") == 1


def _valued(row: Row, key: str) -> str:
    number, unit = as_number(row.get(key)), text(row, "unit")
    if number is None:
        return ""
    if unit == "share":
        return f"{100 * number:.3g} %" if math.isfinite(number) else figure(number)
    return f"{figure(number)}{'x' if unit == 'x' else f' {unit}' if unit else ''}"


def _missing(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|Not measured|Why",
        (
            (_name(one), _FIGURES.get(name, name), text(section(one, "missing"), name))
            for one in measured
            for name in section(one, "missing")
            if name != "regression"  # the saved runs have a section of their own
        ),
    )


def _memory(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|Mode|Weights|Gradients|Optimizer state|Activations|Weight copies|Whole|Allocator peak",
        (
            (_name(one), label, *(_bytes(kept.get(kind)) for kind in _KINDS))
            for one in measured
            for key, label in MODES.items()
            if (kept := section(section(section(one, "modes"), key), "memory"))
        ),
        right="Weights|Gradients|Optimizer state|Activations|Weight copies|Whole|Allocator peak",
    )


def _bytes(value: Json) -> str:
    number = as_number(value)
    if number is None or not math.isfinite(number):
        return ""
    for size, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= size:
            return f"{number / size:.4g} {unit}"
    return f"{number:.0f} B"


def _compiled(measured: Sequence[Row]) -> Table:
    found = []
    for one in measured:
        eager, compiled = (section(section(one, "modes"), mode) for mode in ("amp", "amp-compiled"))
        if compiled:
            gain = section(section(one, "figures"), "compile-speedup")
            cells: tuple[Cell, ...] = (
                _name(one),
                _seconds(compiled.get("first_step_s")),
                _ms(eager.get("step_s")),
                _ms(compiled.get("step_s")),
                _valued(gain, "value"),
                _break_even(eager, compiled),
            )
            found.append(cells)
    head = "Workload|First compiled step, s|Eager AMP step, ms|Compiled, ms|Speedup|Steps to break even"
    return table(
        head, found, right="First compiled step, s|Eager AMP step, ms|Compiled, ms|Speedup|Steps to break even"
    )


def _break_even(eager: Row, compiled: Row) -> str:
    values = [
        as_number(row.get(key)) for row, key in ((compiled, "first_step_s"), (eager, "step_s"), (compiled, "step_s"))
    ]
    cost, before, after = (math.nan if value is None else value for value in values)
    if not before > after:
        return "never" if math.isfinite(before + after) else ""
    return f"{math.ceil(cost / (before - after)):,}" if math.isfinite(cost) else ""


def _roofline(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|GFLOP of a step|Bytes of a step|FLOP/byte|Bound by|Least time, ms|Step, ms|Share|Profile",
        (
            (
                _name(one),
                figure((as_number(amp.get("flops")) or 0) / 1e9),
                _bytes(amp.get("bytes")),
                _intensity(amp),
                text(roof, "bound_by"),
                _ms(roof.get("attainable_s")),
                _ms(amp.get("step_s")),
                _valued(section(section(one, "figures"), "roofline-share"), "value"),
                code(text(roof, "profile"), cell=True),
            )
            for one in measured
            if (roof := section(one, "roofline"))
            for amp in (section(section(one, "modes"), "amp"),)
        ),
        right="GFLOP of a step|Bytes of a step|FLOP/byte|Least time, ms|Step, ms|Share",
    )


def _intensity(mode: Row) -> str:
    flops, moved = as_number(mode.get("flops")), as_number(mode.get("bytes"))
    return figure(flops / moved) if flops is not None and moved else ""


def _noise(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|Compared|Pairs|Middle half of steps|Drift|Others|Throttled|What was seen",
        (
            (
                _name(one),
                f"{mode_name(timed, 'first')} and {mode_name(timed, 'second')}",
                whole(timed, "samples"),
                percent(noise.get("spread")),
                percent(noise.get("drift")),
                percent(noise.get("others")),
                figure(noise.get("throttled")),
                listed(texts(timed, "warnings"), 4) or "calm",
            )
            for one in measured
            for timed in rows(one, "comparisons")
            for noise in (section(timed, "noise"),)
        ),
        right="Pairs|Middle half of steps|Drift|Others|Throttled",
    )


def _noise_note(measured: Sequence[Row]) -> str:
    """Say whether what was seen matters: times in pairs meet the same conditions, a time by itself does not."""
    series = [timed for one in measured for timed in rows(one, "comparisons")]
    if not series:
        return ""
    disturbed = [timed for timed in series if texts(timed, "warnings")]
    if not disturbed:
        return "The machine was calm while it measured: absolute times can be taken at their word."
    open_ones = sum(text(timed, "outcome") == "inconclusive" for timed in disturbed)
    said = (
        f"The machine was not calm in {len(disturbed)} of {plural(len(series), 'comparison')}. Ratios (speedups, saved "
        "runs) hold all the same, for both sides of a pair met the same conditions, and their intervals are as wide as "
        "that made them; times in ms and steps/s are too slow."
    )
    return f"{said} {open_ones} of these did not decide." if open_ones else said


def _conditions(measured: Sequence[Row]) -> Table:
    return table(
        "Workload|Format|Device|Computes in it|torch|Threads|FP32 products",
        (
            (
                _name(one),
                text(one, "precision", "not stated"),
                f"{text(one, 'device_name')} ({text(one, 'device')})",
                _native(one),
                text(one, "torch"),
                whole(one, "threads"),
                text(one, "fp32_matmul"),
            )
            for one in measured
        ),
        right="Threads",
    )


def _native(one: Row) -> str:
    known: Mapping[Json, str] = {True: "yes", False: "no, emulated"}
    said = known.get(one.get("native"), "not known")
    reason = text(one, "native_reason")
    return f"{said}: {reason}" if reason else said


def _methods(measured: Sequence[Row]) -> Iterator[Markup]:
    """Return each method once, with the figures that it made."""
    found: dict[str, list[str]] = {}
    for one in measured:
        for name, row in _sections(section(one, "figures")):
            found.setdefault(text(row, "method"), []).append(_FIGURES.get(name, name))
    for method, names in found.items():
        if method:
            yield prose(f"{listed(dict.fromkeys(names), 10)}: {method}")
