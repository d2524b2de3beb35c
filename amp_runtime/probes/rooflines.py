"""Find what this machine was measured to reach, in the calibration profile of the user's own project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..calibration.codec import ProfileError
from ..calibration.finding import load_profile_for
from ..wire import Roofline
from .failure import safe_text

if TYPE_CHECKING:
    from ..wire import DeviceSeen

_MAKE = "make one with `verify calibrate`"


def roofline_of(origin: str, seen: DeviceSeen) -> Roofline:
    """Return the roofline for the format in which AMP trains.

    Args:
        origin: where the project stands for the user: its working copy has no profile.
    """
    try:
        name = seen.name if seen.device.startswith("cuda") else None
        profile = load_profile_for(origin, seen.device, device_name=name)
    except (ProfileError, ValueError, OSError) as error:
        return Roofline(problem=safe_text(error))
    if profile is None:
        return Roofline(problem=f"there is no calibration profile of this device; {_MAKE}")
    peaks = profile.precision_matrix.peak_gflops_by_precision if profile.precision_matrix else {}
    peak, bandwidth = peaks.get(seen.precision or ""), profile.measured_bandwidth_gbps
    if not peak or not bandwidth:
        lacks = f"no rate in {seen.precision or 'a format that is not stated'}" if not peak else "no bandwidth"
        return Roofline(problem=f"the calibration profile has {lacks}; {_MAKE}")
    name = f"{profile.metadata.hardware_name}, {profile.metadata.calibration_date}"
    return Roofline(problem="", peak_gflops=float(peak), bandwidth_gbps=float(bandwidth), profile=name)
