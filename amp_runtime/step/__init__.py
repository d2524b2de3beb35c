"""One optimizer step in the order that mixed precision needs, and the report of what it did."""

from amp_runtime.step.gradients import total_norm
from amp_runtime.step.options import NonFinite, NonFiniteError, StepOptions
from amp_runtime.step.report import StepReport
from amp_runtime.step.training import TrainingStep

__all__ = ["NonFinite", "NonFiniteError", "StepOptions", "StepReport", "TrainingStep", "total_norm"]
