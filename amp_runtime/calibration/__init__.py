"""What a machine can compute, precision by precision: measured, stored as a profile, and found again. No torch."""

from pathlib import Path

from .codec import ProfileError
from .efficiency import efficiency_of
from .finding import load_profile_for, of_another_machine, profile_path
from .machine import Machine, machine_class, this_machine
from .profile_files import load_profile, save_profile
from .schema import (
    PRECISIONS,
    CalibrationMetadata,
    FusionCalibration,
    HardwareCalibration,
    Interval,
    OperationCalibration,
    PrecisionCapabilityMatrix,
    PrecisionTestResult,
    StabilityCheck,
)

PROGRAM = Path(__file__).with_name("start.py")  # what measures, for any interpreter: `PYTHON start.py OPTIONS`

__all__ = [
    "PRECISIONS",
    "PROGRAM",
    "CalibrationMetadata",
    "FusionCalibration",
    "HardwareCalibration",
    "Interval",
    "Machine",
    "OperationCalibration",
    "PrecisionCapabilityMatrix",
    "PrecisionTestResult",
    "ProfileError",
    "StabilityCheck",
    "efficiency_of",
    "load_profile",
    "load_profile_for",
    "machine_class",
    "of_another_machine",
    "profile_path",
    "save_profile",
    "this_machine",
]
