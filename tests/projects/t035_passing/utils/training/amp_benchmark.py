"""Compare training in FP32 with training under automatic mixed precision.

The comparison trains two copies of the same model on the same data, once in each
precision, and looks at time, peak memory and accuracy.
"""

import copy
import time
from typing import Any, Dict, List, Optional

import torch

try:
    import wandb
except ImportError:
    wandb = None

REQUIRED_SPEEDUP = 1.5
REQUIRED_MEMORY_REDUCTION = 40.0
ALLOWED_ACCURACY_DIFFERENCE = 0.01


def test_amp_speedup_benchmark(
    model: torch.nn.Module,
    config: Any,
    train_data: Optional[List[torch.Tensor]] = None,
    n_epochs: int = 3,
    learning_rate: float = 5e-5,
    batch_size: int = 4,
    use_wandb: bool = False,
) -> Dict[str, Any]:
    """Train in FP32 and under AMP, and compare.

    Args:
        model: copied for each run, so that it is left as it was.
        config: as for `test_fine_tuning`.
        train_data: token tensors; made up when absent.

    Returns:
        Both results, the ratios between them, and whether the requirements are met.
    """
    # Imported here: the module that defines it imports this one while it loads.
    from utils.tier3_training_utilities import test_fine_tuning

    if not torch.cuda.is_available():
        return {"error": "the benchmark needs a CUDA device", "requirements_met": False}

    def run(use_amp: bool) -> Dict[str, Any]:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        results = test_fine_tuning(
            copy.deepcopy(model),
            config,
            train_data=train_data,
            n_epochs=n_epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            use_wandb=False,
            use_amp=use_amp,
        )
        torch.cuda.synchronize()
        results["seconds"] = time.perf_counter() - start
        results["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 2**20
        return results

    fp32_results = run(use_amp=False)
    fp16_results = run(use_amp=True)

    speedup = fp32_results["seconds"] / fp16_results["seconds"]
    fp32_memory, fp16_memory = fp32_results["peak_memory_mb"], fp16_results["peak_memory_mb"]
    memory_reduction = (fp32_memory - fp16_memory) / fp32_memory * 100
    fp32_accuracy = fp32_results["metrics_summary"]["final_val_accuracy"] or 0.0
    fp16_accuracy = fp16_results["metrics_summary"]["final_val_accuracy"] or 0.0
    accuracy_difference = abs(fp32_accuracy - fp16_accuracy)

    requirements_met = {
        "speedup": speedup >= REQUIRED_SPEEDUP,
        "memory": memory_reduction >= REQUIRED_MEMORY_REDUCTION,
        "accuracy": accuracy_difference < ALLOWED_ACCURACY_DIFFERENCE,
    }
    if use_wandb and wandb is not None and wandb.run is not None:
        wandb.log({"amp/speedup": speedup, "amp/memory_reduction_percent": memory_reduction})

    return {
        "fp32_results": fp32_results,
        "fp16_results": fp16_results,
        "speedup": speedup,
        "memory_reduction_percent": memory_reduction,
        "accuracy_difference": accuracy_difference,
        "requirements_met": requirements_met,
    }
