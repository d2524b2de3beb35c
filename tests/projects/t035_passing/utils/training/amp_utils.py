"""Choose the precision that really applies, and log the loss scale while training."""

from typing import Any, Optional

try:
    import wandb
except ImportError:
    wandb = None

try:
    from pytorch_lightning import Callback
except ImportError:
    Callback = object


def compute_effective_precision(
    requested_precision: str, use_amp: Optional[bool], cuda_available: bool, use_gpu: bool
) -> str:
    """Return the precision for the trainer: the request unless the switch decides, 16 bits only on a GPU in use."""
    if use_amp is None:
        return requested_precision
    if use_amp and cuda_available and use_gpu:
        return "16"
    return "32"


class AmpWandbCallback(Callback):
    """Log whether AMP is on, with which precision, and the gradient scaler's loss scale after every epoch."""

    def __init__(self, enabled: bool, precision: str) -> None:
        super().__init__()
        self.enabled = enabled
        self.precision = precision

    def _get_loss_scale(self, trainer: Any) -> Optional[float]:
        plugin = getattr(getattr(trainer, "strategy", None), "precision_plugin", None)
        scaler = getattr(plugin, "scaler", None)
        return None if scaler is None else float(scaler.get_scale())

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Send the figures of this epoch, if there is a run to send them to."""
        if wandb is None or wandb.run is None:
            return
        figures = {"amp/enabled": int(self.enabled), "amp/precision": self.precision}
        loss_scale = self._get_loss_scale(trainer) if self.enabled else None
        if loss_scale is not None:
            figures["amp/loss_scale"] = loss_scale
        wandb.log(figures, step=trainer.global_step)
