"""Collect losses and accuracies per epoch and summarise them."""

import math
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional

try:
    import wandb
except ImportError:
    wandb = None


@dataclass
class EpochMetrics:
    """Numbers of one epoch."""

    epoch: int
    train_loss: float
    val_loss: Optional[float] = None
    val_accuracy: Optional[float] = None
    learning_rate: Optional[float] = None

    @property
    def perplexity(self) -> float:
        """Exponential of the training loss, capped so that it stays finite."""
        return math.exp(min(self.train_loss, 50.0))


@dataclass
class MetricsTracker:
    """Keep one record per epoch, and hand it to Weights & Biases where that is wanted."""

    use_wandb: bool = False
    epochs: List[EpochMetrics] = field(default_factory=list)

    def log_epoch(self, metrics: EpochMetrics) -> None:
        """Remember an epoch."""
        self.epochs.append(metrics)
        if self.use_wandb and wandb is not None and wandb.run is not None:
            wandb.log({"epoch": metrics.epoch, "train/loss": metrics.train_loss, "val/loss": metrics.val_loss})

    def best_epoch(self) -> Optional[EpochMetrics]:
        """Return the epoch with the lowest validation loss, or training loss where nothing was validated."""
        if not self.epochs:
            return None
        return min(self.epochs, key=lambda item: item.train_loss if item.val_loss is None else item.val_loss)

    def summary(self) -> Dict[str, Any]:
        """Return the figures a report shows."""
        best = self.best_epoch()
        if best is None:
            return {"epochs": 0, "best_epoch": None, "final_train_loss": None, "final_val_accuracy": None}
        last = self.epochs[-1]
        return {
            "epochs": len(self.epochs),
            "best_epoch": best.epoch,
            "final_train_loss": last.train_loss,
            "final_val_accuracy": last.val_accuracy,
        }
