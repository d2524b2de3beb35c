"""What a device can compute in, format by format: native, emulated or absent, and how that is known."""

from amp_runtime.capability.judging import capability_of, judge
from amp_runtime.capability.model import DTYPES, Capability, DtypeSupport, Probe
from amp_runtime.capability.probing import probe

__all__ = ["DTYPES", "Capability", "DtypeSupport", "Probe", "capability_of", "judge", "probe"]
