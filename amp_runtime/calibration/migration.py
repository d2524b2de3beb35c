"""Decides how a profile of an older format is read: what it could not say stays unknown, what cannot be is flagged.

Before the second format, a share of a peak above 1 was stored as an efficiency, and a figure that does not exist as 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .efficiency import above_peak

SCHEMA = "amp-runtime-calibration/2"
OLD_SCHEMA = "amp-runtime-calibration/1"
_SHARES = ("best_efficiency", "avg_efficiency", "worst_efficiency", "bandwidth_efficiency")


def migrated(data: object) -> object:
    """Return `data` in the form of this version; what is no object, or already of it, comes back as it is."""
    if not isinstance(data, Mapping) or "schema" in data:
        return data
    new: dict[str, Any] = {**data, "schema": OLD_SCHEMA}
    for name in _SHARES:
        new = _flagged(new, name, f"{name}_flag" if name == "bandwidth_efficiency" else None)
    profiles = new.get("operation_profiles")
    if isinstance(profiles, Mapping):
        new["operation_profiles"] = {name: _operation(one) for name, one in profiles.items()}
    return new


def _operation(data: object) -> object:
    if not isinstance(data, Mapping):
        return data
    moves_bytes = data.get("measured_gflops") == 0
    new = _flagged(dict(data), "efficiency", "efficiency_flag")
    if moves_bytes:  # a copy computes nothing: 0 operations a second is no measurement
        new["measured_gflops"] = None
    results = new.get("precision_results")
    if isinstance(results, Mapping):
        new["precision_results"] = {name: _result(one) for name, one in results.items()}
    return new


def _result(data: object) -> object:
    if not isinstance(data, Mapping):
        return data
    new = dict(data)
    if "measured_gops" in new and "measured_gflops" not in new:
        new["measured_gflops"] = new.pop("measured_gops")
    return _flagged(new, "efficiency", "efficiency_flag")


def _flagged(data: dict[str, Any], name: str, flag: str | None) -> dict[str, Any]:
    """Take a share above 1 out of a record, and say so in its flag."""
    share = data.get(name)
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 1 < share < 1e6:
        return data
    said = {flag: above_peak(share)} if flag else {}
    return data | {name: None} | said
