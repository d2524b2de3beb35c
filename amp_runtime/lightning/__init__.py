"""Lightning (extra `lightning`): modules that train an objective, the Trainer's precision, and an instrument for it."""

try:
    import lightning.pytorch  # noqa: F401 - asked first, for a clear answer
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "amp_runtime.lightning needs the package lightning; install verify-amp[lightning]", name=error.name
    ) from error

from amp_runtime.lightning.alternating import AlternatingModule, Player
from amp_runtime.lightning.module import ObjectiveModule
from amp_runtime.lightning.monitor import OptimizerStepRecord, PrecisionMonitor
from amp_runtime.lightning.precision import amp_trainer, trainer_options, trainer_precision

__all__ = [
    "AlternatingModule",
    "ObjectiveModule",
    "OptimizerStepRecord",
    "Player",
    "PrecisionMonitor",
    "amp_trainer",
    "trainer_options",
    "trainer_precision",
]
