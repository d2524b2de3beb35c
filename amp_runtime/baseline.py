"""Keep the figures of a good run, and say of a later one what got better and what got worse. No torch."""

from __future__ import annotations

import enum
import json
import math
import os
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SCHEMA = "amp-runtime-baseline/1"


class BaselineError(ValueError):
    """A file that is no baseline, or figures that cannot be one."""


class Better(enum.StrEnum):
    """Which direction of a metric is good."""

    LOWER = "lower"
    HIGHER = "higher"


class Change(enum.StrEnum):
    """What became of a metric; EQUAL: it moved less than matters. NEW has no baseline, MISSING was not measured."""

    BETTER = "better"
    WORSE = "worse"
    EQUAL = "equal"
    NEW = "new"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricRule:
    """How to judge a metric.

    Args:
        better: the good direction.
        least: a change matters if it is larger than this, in the metric's unit, or as a share of the baseline if
            `relative`.

    Raises:
        ValueError: a size below 0 or not finite.
    """

    better: Better
    least: float = 0.0
    relative: bool = False

    def __post_init__(self) -> None:
        if not (math.isfinite(self.least) and self.least >= 0):
            raise ValueError(f"least is a finite number of 0 or more, not {self.least!r}")


# Metrics of this library. What else is compared needs a rule of its own: no direction is guessed.
RULES: Mapping[str, MetricRule] = {
    "loss": MetricRule(better=Better.LOWER, least=0.01, relative=True),
    "perplexity": MetricRule(better=Better.LOWER, least=0.01, relative=True),
    "accuracy": MetricRule(better=Better.HIGHER, least=0.01),
    "examples_per_s": MetricRule(better=Better.HIGHER, least=0.05, relative=True),
    "step_ms": MetricRule(better=Better.LOWER, least=0.05, relative=True),
    "speedup": MetricRule(better=Better.HIGHER, least=0.05, relative=True),
    "memory_reduction_percent": MetricRule(better=Better.HIGHER, least=1.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """One metric then and now; `by` is now less then, None where one of them is absent or not finite."""

    name: str
    change: Change
    before: float | None
    now: float | None
    by: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All metrics, by name."""

    changes: tuple[MetricChange, ...]

    @property
    def regressed(self) -> bool:
        """Whether a metric got worse, or was measured then and not now."""
        return any(change.change in (Change.WORSE, Change.MISSING) for change in self.changes)

    def table(self) -> str:
        """Return the comparison as text, one metric a line."""
        rows = [("metric", "before", "now", "change", "")]
        rows += [(c.name, _cell(c.before), _cell(c.now), _cell(c.by, sign="+"), c.change.value) for c in self.changes]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        return "\n".join(_line(row, widths) for row in rows)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:4], widths[1:4], strict=True))
    return f"{row[0]:{widths[0]}}  {numbers}  {row[4]}".rstrip()


def save_baseline(path: str | Path, metrics: Mapping[str, float], *, about: str = "") -> None:
    """Write metrics as JSON; the file is whole or absent.

    Args:
        about: where the figures come from: device, commit, data.

    Raises:
        BaselineError: no metrics, or one that is not finite, with which nothing could be compared.
        OSError: the file cannot be written.
    """
    bad = sorted(name for name, value in metrics.items() if not math.isfinite(value))
    if bad or not metrics:
        raise BaselineError(f"{', '.join(bad)} is not finite" if bad else "a baseline needs at least one metric")
    path = Path(path)
    data = {"schema": SCHEMA, "about": about, "metrics": {name: float(metrics[name]) for name in sorted(metrics)}}
    partial = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, allow_nan=False)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_baseline(path: str | Path) -> dict[str, float]:
    """Read what `save_baseline` wrote.

    Raises:
        BaselineError: the file is damaged, or something else.
        FileNotFoundError: there is none.
    """
    try:
        data = json.loads(Path(path).read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BaselineError(f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise BaselineError(f"{path} is no baseline of schema {SCHEMA}; write one with save_baseline()")
    metrics = data.get("metrics")
    if not isinstance(metrics, dict) or not metrics or not all(map(_is_figure, metrics.values())):
        raise BaselineError(f"{path}: `metrics` must map names to finite numbers")
    return {name: float(value) for name, value in metrics.items()}


def compare(
    metrics: Mapping[str, float], baseline: Mapping[str, float], rules: Mapping[str, MetricRule] | None = None
) -> Comparison:
    """Compare a run with its baseline, metric by metric.

    A metric that is no longer finite is worse, whatever its direction.

    Args:
        rules: of metrics beside those of `RULES`, or in place of them. A name may be that of a rule with a prefix:
            `validation/loss` and `fp32_loss` are judged as `loss`.

    Raises:
        ValueError: a metric without a rule.
    """
    known = {**RULES, **(rules or {})}
    names = sorted(metrics.keys() | baseline.keys())
    return Comparison(
        changes=tuple(_compare(name, metrics.get(name), baseline.get(name), _rule(name, known)) for name in names)
    )


def _rule(name: str, rules: Mapping[str, MetricRule]) -> MetricRule:
    fitting = [known for known in rules if name == known or name.endswith((f"/{known}", f"_{known}"))]
    if not fitting:
        raise ValueError(f"nothing says whether {name!r} should be high or low; give it a MetricRule")
    return rules[max(fitting, key=len)]


def _compare(name: str, now: float | None, before: float | None, rule: MetricRule) -> MetricChange:
    if now is None or before is None:
        change = Change.MISSING if now is None else Change.NEW
        return MetricChange(name=name, change=change, before=before, now=now, by=None)
    if not math.isfinite(now):
        return MetricChange(name=name, change=Change.WORSE, before=before, now=now, by=None)
    by = now - before
    least = rule.least * abs(before) if rule.relative else rule.least
    if by == 0 or abs(by) < least or math.isclose(abs(by), least, rel_tol=1e-9):
        change = Change.EQUAL
    else:
        change = Change.BETTER if (by > 0) == (rule.better is Better.HIGHER) else Change.WORSE
    return MetricChange(name=name, change=change, before=before, now=now, by=by)


def _is_figure(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _cell(value: float | None, *, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.6g}"
