"""Places a step on the roofline that this machine was measured to have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.wire import Roofline, Worked
    from stages.performance.figures import Figure

_METHOD = "least time of a step's operations and bytes on the measured roofline ({profile}), over its time"


def attainable_s(roofline: Roofline, worked: Worked) -> float:
    """Return the least seconds in which this machine can do a step's operations and move its bytes.

    Williams, Waterman and Patterson, "Roofline", Communications of the ACM 52(4), 2009: the slower of the two decides.
    """
    return max(worked.flops / (roofline.peak_gflops * 1e9), worked.bytes / (roofline.bandwidth_gbps * 1e9))


def bound_by(roofline: Roofline, worked: Worked) -> str:
    """Say which of the two is the slower."""
    computing = worked.flops / roofline.peak_gflops >= worked.bytes / roofline.bandwidth_gbps
    return "compute" if computing else "memory"


def roofline_share(roofline: Roofline | None, worked: Worked | None, rate: Figure | None) -> dict[str, Figure]:
    """Return AMP's share of the roofline, where everything that it takes is known.

    Args:
        rate: of AMP's steps, per second.
    """
    if roofline is None or worked is None or rate is None or roofline.problem or worked.problem:
        return {}
    least_s = attainable_s(roofline, worked)
    share = replace(
        rate,
        value=least_s * rate.value,
        low=least_s * rate.low,
        high=least_s * rate.high,
        unit="share",
        method=f"{_METHOD.format(profile=roofline.profile)}; {rate.method}",
    )
    return {"roofline-share": share}
