"""Mixed-precision training for PyTorch: capability, precision policies, a correct step, a loop, instruments.

Every name below loads its module, and with it torch, when it is first asked for; importing the package loads neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from amp_runtime.activation_checkpointing import checkpoint_activations
    from amp_runtime.baseline import Comparison, MetricRule, load_baseline, save_baseline
    from amp_runtime.batches import cast_floating, move_to
    from amp_runtime.benchmark.compare import benchmark_amp
    from amp_runtime.benchmark.requirements import Requirements
    from amp_runtime.benchmark.result import AmpBenchmark
    from amp_runtime.benchmark.subjects import ModelSubject
    from amp_runtime.calibration.calibrator import calibrate
    from amp_runtime.calibration.codec import ProfileError
    from amp_runtime.calibration.finding import load_profile_for
    from amp_runtime.calibration.machine import machine_class
    from amp_runtime.calibration.profile_files import load_profile, save_profile
    from amp_runtime.calibration.schema import HardwareCalibration
    from amp_runtime.callbacks import Callback
    from amp_runtime.capability import Capability, DtypeSupport, capability_of
    from amp_runtime.checkpoint import CheckpointInfo, load_checkpoint, load_weights, read_info, save_checkpoint
    from amp_runtime.checkpoint_files import CheckpointError
    from amp_runtime.compile.benchmarker import PerformanceBenchmarker
    from amp_runtime.compile.config import CompileConfig
    from amp_runtime.compile.decorating import compiled_on_first_call
    from amp_runtime.compile.results import ComparisonResult, CompilationResult
    from amp_runtime.compile.validator import CompilationValidator, safe_compile_model
    from amp_runtime.compile.workload import validate_workload
    from amp_runtime.config import AmpConfig, LossScaling
    from amp_runtime.config_table import ConfigError
    from amp_runtime.device import available_devices, best_device
    from amp_runtime.early_stopping import EarlyStopping
    from amp_runtime.ema import EmaWarmup, ExponentialMovingAverage
    from amp_runtime.float32 import float32_products
    from amp_runtime.history import EpochRecord, History, StepRecord, ValidationRecord
    from amp_runtime.instrument.records import Alarm, SanitizerReport
    from amp_runtime.instrument.sanitizer import Sanitizer, amp_sanitizer
    from amp_runtime.loop import fit
    from amp_runtime.metrics import Metrics, evaluate
    from amp_runtime.metrics_tracker import MetricsTracker
    from amp_runtime.model_outputs.tensors import predictions
    from amp_runtime.model_outputs.vocabulary import Vocabulary, detect_vocabulary
    from amp_runtime.monitor import Monitor
    from amp_runtime.objective import Outcome, classification
    from amp_runtime.penalty import distance_from_unit_norm, squared_norm, true_gradients
    from amp_runtime.plots import plot_run, save_plots
    from amp_runtime.policy import Bf16Policy, Fp16Policy, Fp32Policy, policy_for
    from amp_runtime.precision import EffectivePrecision, Precision, compute_effective_precision, effective_precision
    from amp_runtime.progress import progress_callbacks
    from amp_runtime.retention import Checkpoints, best_checkpoint, latest_checkpoint
    from amp_runtime.run import TrainingRun
    from amp_runtime.scale_history import ScaleChange
    from amp_runtime.scaling import LossScaler, ScaleCollapseError
    from amp_runtime.step import NonFinite, NonFiniteError, StepOptions, StepReport, TrainingStep
    from amp_runtime.trackers import ConsoleTracker, CsvTracker, JsonlTracker, Tracker, Tracking

__all__ = [
    "Alarm",
    "AmpBenchmark",
    "AmpConfig",
    "Bf16Policy",
    "Callback",
    "Capability",
    "CheckpointError",
    "CheckpointInfo",
    "Checkpoints",
    "Comparison",
    "ComparisonResult",
    "CompilationResult",
    "CompilationValidator",
    "CompileConfig",
    "ConfigError",
    "ConsoleTracker",
    "CsvTracker",
    "DtypeSupport",
    "EarlyStopping",
    "EffectivePrecision",
    "EmaWarmup",
    "EpochRecord",
    "ExponentialMovingAverage",
    "Fp16Policy",
    "Fp32Policy",
    "HardwareCalibration",
    "History",
    "JsonlTracker",
    "LossScaler",
    "LossScaling",
    "MetricRule",
    "Metrics",
    "MetricsTracker",
    "ModelSubject",
    "Monitor",
    "NonFinite",
    "NonFiniteError",
    "Outcome",
    "PerformanceBenchmarker",
    "Precision",
    "ProfileError",
    "Requirements",
    "Sanitizer",
    "SanitizerReport",
    "ScaleChange",
    "ScaleCollapseError",
    "StepOptions",
    "StepRecord",
    "StepReport",
    "Tracker",
    "Tracking",
    "TrainingRun",
    "TrainingStep",
    "ValidationRecord",
    "Vocabulary",
    "amp_sanitizer",
    "available_devices",
    "benchmark_amp",
    "best_checkpoint",
    "best_device",
    "calibrate",
    "capability_of",
    "cast_floating",
    "checkpoint_activations",
    "classification",
    "compiled_on_first_call",
    "compute_effective_precision",
    "detect_vocabulary",
    "distance_from_unit_norm",
    "effective_precision",
    "evaluate",
    "fit",
    "float32_products",
    "latest_checkpoint",
    "load_baseline",
    "load_checkpoint",
    "load_profile",
    "load_profile_for",
    "load_weights",
    "machine_class",
    "move_to",
    "plot_run",
    "policy_for",
    "predictions",
    "progress_callbacks",
    "read_info",
    "safe_compile_model",
    "save_baseline",
    "save_checkpoint",
    "save_plots",
    "save_profile",
    "squared_norm",
    "true_gradients",
    "validate_workload",
]

_HOME_OF = {
    "Alarm": "instrument.records",
    "AmpBenchmark": "benchmark.result",
    "AmpConfig": "config",
    "Bf16Policy": "policy",
    "Callback": "callbacks",
    "Capability": "capability",
    "CheckpointError": "checkpoint_files",
    "CheckpointInfo": "checkpoint",
    "Checkpoints": "retention",
    "Comparison": "baseline",
    "ComparisonResult": "compile.results",
    "CompilationResult": "compile.results",
    "CompilationValidator": "compile.validator",
    "CompileConfig": "compile.config",
    "ConfigError": "config_table",
    "ConsoleTracker": "trackers",
    "CsvTracker": "trackers",
    "DtypeSupport": "capability",
    "EarlyStopping": "early_stopping",
    "EffectivePrecision": "precision",
    "EmaWarmup": "ema",
    "EpochRecord": "history",
    "ExponentialMovingAverage": "ema",
    "Fp16Policy": "policy",
    "Fp32Policy": "policy",
    "HardwareCalibration": "calibration.schema",
    "History": "history",
    "JsonlTracker": "trackers",
    "LossScaler": "scaling",
    "LossScaling": "config",
    "MetricRule": "baseline",
    "Metrics": "metrics",
    "MetricsTracker": "metrics_tracker",
    "ModelSubject": "benchmark.subjects",
    "Monitor": "monitor",
    "NonFinite": "step",
    "NonFiniteError": "step",
    "Outcome": "objective",
    "PerformanceBenchmarker": "compile.benchmarker",
    "Precision": "precision",
    "ProfileError": "calibration.codec",
    "Requirements": "benchmark.requirements",
    "Sanitizer": "instrument.sanitizer",
    "SanitizerReport": "instrument.records",
    "ScaleChange": "scale_history",
    "ScaleCollapseError": "scaling",
    "StepOptions": "step",
    "StepRecord": "history",
    "StepReport": "step",
    "Tracker": "trackers",
    "Tracking": "trackers",
    "TrainingRun": "run",
    "TrainingStep": "step",
    "ValidationRecord": "history",
    "Vocabulary": "model_outputs.vocabulary",
    "amp_sanitizer": "instrument.sanitizer",
    "available_devices": "device",
    "benchmark_amp": "benchmark.compare",
    "best_checkpoint": "retention",
    "best_device": "device",
    "calibrate": "calibration.calibrator",
    "capability_of": "capability",
    "cast_floating": "batches",
    "checkpoint_activations": "activation_checkpointing",
    "classification": "objective",
    "compiled_on_first_call": "compile.decorating",
    "compute_effective_precision": "precision",
    "detect_vocabulary": "model_outputs.vocabulary",
    "distance_from_unit_norm": "penalty",
    "effective_precision": "precision",
    "evaluate": "metrics",
    "fit": "loop",
    "float32_products": "float32",
    "latest_checkpoint": "retention",
    "load_baseline": "baseline",
    "load_checkpoint": "checkpoint",
    "load_profile": "calibration.profile_files",
    "load_profile_for": "calibration.finding",
    "load_weights": "checkpoint",
    "machine_class": "calibration.machine",
    "move_to": "batches",
    "plot_run": "plots",
    "policy_for": "policy",
    "predictions": "model_outputs.tensors",
    "progress_callbacks": "progress",
    "read_info": "checkpoint",
    "safe_compile_model": "compile.validator",
    "save_baseline": "baseline",
    "save_checkpoint": "checkpoint",
    "save_plots": "plots",
    "save_profile": "calibration.profile_files",
    "squared_norm": "penalty",
    "true_gradients": "penalty",
    "validate_workload": "compile.workload",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
