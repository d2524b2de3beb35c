"""What a machine can compute, precision by precision: measured, stored as a profile, and found again. No torch."""

from amp_runtime.calibration.codec import ProfileError
from amp_runtime.calibration.efficiency import efficiency_of
from amp_runtime.calibration.finding import load_profile_for, of_another_machine, profile_path
from amp_runtime.calibration.machine import Machine, machine_class, this_machine
from amp_runtime.calibration.profile_files import load_profile, save_profile
from amp_runtime.calibration.schema import (
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

__all__ = [
    "PRECISIONS",
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
