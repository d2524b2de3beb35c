"""What a device can compute in, format by format: native, emulated or absent, and how that is known."""

from .judging import capability_of, judge
from .model import DTYPES, Capability, DtypeSupport, Probe
from .probing import probe

__all__ = ["DTYPES", "Capability", "DtypeSupport", "Probe", "capability_of", "judge", "probe"]
