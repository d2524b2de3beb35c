"""AMP141: anomaly detection is on while a scaled loss runs backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..events import BackwardStarting
from ..phrases import line
from ..run import NOTHING, Check, Found
from ..scaling_events import AnomalyDetectionSet
from ..watch.anomalies import looks_for_nan

if TYPE_CHECKING:
    from ..run import Findings, Run


def _set(event: AnomalyDetectionSet, run: Run) -> Findings:
    run.memory("AMP141")["place"] = event.place
    return None


def _starting(event: BackwardStarting, run: Run) -> Findings:
    if not any(event.provenance.ways):
        return None
    if not looks_for_nan():
        return NOTHING
    message = (
        f"Anomaly detection is on while the scaled loss at {line(event.place)} runs backward: it raises at the first"
        " overflow, which the scaler would skip, and slows every step."
    )
    return [Found(message=message, place=run.memory("AMP141").get("place"))]


CHECK = Check(
    code="AMP141",
    remedy="Switch anomaly detection on only to debug, or with check_nan=False.",
    hears={AnomalyDetectionSet: _set, BackwardStarting: _starting},
)
