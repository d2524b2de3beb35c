"""Third tier: fine-tuning, hyper-parameter search and comparison with a baseline.

Each function takes a model and returns a dictionary that a notebook can show.
"""

import copy
import logging
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F

try:
    import wandb
except ImportError:
    wandb = None

from utils.training.amp_benchmark import test_amp_speedup_benchmark

__all__ = [
    "test_amp_speedup_benchmark",
    "test_benchmark_comparison",
    "test_fine_tuning",
    "test_hyperparameter_search",
]

logger = logging.getLogger(__name__)

DEFAULT_VOCAB_SIZE = 50257


def _detect_vocab_size(model: torch.nn.Module, config: Any) -> int:
    """Return the number of tokens: from the configuration, else from the first embedding."""
    if getattr(config, "vocab_size", None) is not None:
        return int(config.vocab_size)
    for module in model.modules():
        if isinstance(module, torch.nn.Embedding):
            return module.num_embeddings
    logger.warning("no vocabulary size found, assuming %d", DEFAULT_VOCAB_SIZE)
    return DEFAULT_VOCAB_SIZE


def _extract_output_tensor(output: Any) -> torch.Tensor:
    """Return the logits from whatever a model returns: a tensor, a tuple, a dictionary or an object."""
    if isinstance(output, torch.Tensor):
        return output
    if isinstance(output, (tuple, list)):
        return _extract_output_tensor(output[0])
    if isinstance(output, dict):
        for key in ("logits", "last_hidden_state"):
            if key in output:
                return output[key]
        return _extract_output_tensor(next(iter(output.values())))
    for name in ("logits", "last_hidden_state"):
        if hasattr(output, name):
            return getattr(output, name)
    raise TypeError(f"no tensor found in {type(output).__name__}")


def _safe_get_model_output(model: torch.nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """Call the model by position, or by the keyword that Hugging Face models use."""
    try:
        return _extract_output_tensor(model(batch))
    except TypeError:
        return _extract_output_tensor(model(input_ids=batch))


def _synthetic_tokens(vocab_size: int, count: int, length: int = 16) -> List[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, vocab_size, (length,), generator=generator) for _ in range(count)]


def _batches(data: List[torch.Tensor], batch_size: int) -> List[torch.Tensor]:
    return [torch.stack(data[start : start + batch_size]) for start in range(0, len(data), batch_size)]


def _next_token_loss(logits: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits[:, :-1].reshape(-1, logits.size(-1)), batch[:, 1:].reshape(-1))


@torch.no_grad()
def _evaluate(model: torch.nn.Module, batches: List[torch.Tensor]) -> Tuple[float, float]:
    """Return loss and accuracy of next-token prediction."""
    model.eval()
    losses, hits, total = [], 0, 0
    for batch in batches:
        logits = _safe_get_model_output(model, batch)
        losses.append(_next_token_loss(logits, batch).item())
        hits += int((logits[:, :-1].argmax(-1) == batch[:, 1:]).sum())
        total += batch[:, 1:].numel()
    return sum(losses) / len(losses), hits / total


def _training_step(
    model: torch.nn.Module,
    batch: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    scaler: Any,
    use_amp: bool,
    labels: Optional[torch.Tensor] = None,
) -> Tuple[float, float, bool]:
    """Train on one batch; return the loss, the gradient norm, and whether the optimizer stepped."""
    optimizer.zero_grad(set_to_none=True)
    if use_amp:
        if labels is None:
            with autocast():
                loss = _next_token_loss(_safe_get_model_output(model, batch), batch)
        else:
            with autocast():
                loss = F.cross_entropy(_safe_get_model_output(model, batch)[:, -1], labels)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        return loss.item(), float(norm), scaler.get_scale() >= before
    logits = _safe_get_model_output(model, batch)
    loss = _next_token_loss(logits, batch) if labels is None else F.cross_entropy(logits[:, -1], labels)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item(), float(norm), True


def test_fine_tuning(
    model: torch.nn.Module,
    config: Any,
    train_data: Optional[List[torch.Tensor]] = None,
    val_data: Optional[List[torch.Tensor]] = None,
    n_epochs: int = 3,
    learning_rate: float = 5e-5,
    batch_size: int = 4,
    use_wandb: bool = False,
    use_amp: bool = False,
) -> Dict[str, Any]:
    """Train for a few epochs and return losses, metrics and what AMP did.

    Args:
        model: trained in place.
        config: looked at for `vocab_size`.
        train_data: token tensors of equal length; made up when absent.
        val_data: as `train_data`; the training data when absent.
        use_amp: train under autocast with a scaled loss, where there is a GPU.
    """
    from utils.training.metrics_tracker import EpochMetrics, MetricsTracker

    from torch.cuda.amp import GradScaler, autocast

    device = next(model.parameters()).device
    vocab_size = _detect_vocab_size(model, config)
    train_data = train_data or _synthetic_tokens(vocab_size, 32)
    train_batches = [batch.to(device) for batch in _batches(train_data, batch_size)]
    val_batches = [batch.to(device) for batch in _batches(val_data or train_data, batch_size)]

    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs * len(train_batches))
    scaler = GradScaler() if (use_amp and torch.cuda.is_available()) else None
    tracker = MetricsTracker(use_wandb=use_wandb)
    loss_history: List[float] = []
    grad_norm_history: List[float] = []
    loss_scales: List[float] = []

    for epoch in range(n_epochs):
        model.train()
        for batch in train_batches:
            loss, norm, stepped = _training_step(model, batch, optimizer, scaler, scaler is not None)
            if scaler is not None:
                loss_scales.append(scaler.get_scale())
            if stepped:
                scheduler.step()
            loss_history.append(loss)
            grad_norm_history.append(norm)
        with autocast(enabled=scaler is not None):
            val_loss, val_accuracy = _evaluate(model, val_batches)
        train_loss = sum(loss_history[-len(train_batches) :]) / len(train_batches)
        tracker.log_epoch(EpochMetrics(epoch, train_loss, val_loss, val_accuracy, scheduler.get_last_lr()[0]))
        if use_wandb and wandb is not None and wandb.run is not None and loss_scales:
            wandb.log({"amp/loss_scale": loss_scales[-1], "epoch": epoch})

    figure, axis = plt.subplots()
    axis.plot(loss_history)
    axis.set_xlabel("step")
    axis.set_ylabel("loss")
    plt.close(figure)

    results: Dict[str, Any] = {
        "loss_history": loss_history,
        "grad_norm_history": grad_norm_history,
        "metrics_summary": tracker.summary(),
        "amp_enabled": scaler is not None,
    }
    results["final_loss_scale"] = loss_scales[-1] if loss_scales else None
    results["figure"] = figure
    return results


def test_hyperparameter_search(
    model_factory: Callable[[], torch.nn.Module],
    config: Any,
    train_data: Optional[List[torch.Tensor]] = None,
    n_trials: int = 10,
) -> Dict[str, Any]:
    """Search learning rate and batch size with Optuna, if it is installed."""
    try:
        import optuna
    except ImportError:
        return {"error": "optuna is not installed", "best_params": None}

    def objective(trial: Any) -> float:
        learning_rate = trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
        batch_size = trial.suggest_categorical("batch_size", [2, 4, 8])
        results = test_fine_tuning(
            model_factory(), config, train_data, n_epochs=1, learning_rate=learning_rate, batch_size=batch_size
        )
        return results["loss_history"][-1]

    study = optuna.create_study(direction="minimize")
    study.optimize(objective, n_trials=n_trials)
    trials = pd.DataFrame([{**trial.params, "loss": trial.value} for trial in study.trials])
    return {"best_params": study.best_params, "best_value": study.best_value, "trials": trials}


def test_benchmark_comparison(
    model: torch.nn.Module, baseline: torch.nn.Module, config: Any, n_batches: int = 8
) -> Dict[str, Any]:
    """Compare size, speed and loss of a model with those of a baseline."""
    tokens = _synthetic_tokens(_detect_vocab_size(model, config), 4 * n_batches)
    rows = []
    for name, candidate in (("model", model), ("baseline", baseline)):
        contender = copy.deepcopy(candidate)
        device = next(contender.parameters()).device
        batches = [batch.to(device) for batch in _batches(tokens, 4)]
        start = time.perf_counter()
        loss, accuracy = _evaluate(contender, batches)
        seconds = time.perf_counter() - start
        parameters = sum(item.numel() for item in contender.parameters())
        rows.append({"name": name, "parameters": parameters, "loss": loss, "accuracy": accuracy, "seconds": seconds})
    table = pd.DataFrame(rows).set_index("name")
    return {"comparison": table, "speedup": table.loc["baseline", "seconds"] / table.loc["model", "seconds"]}
