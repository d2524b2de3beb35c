"""The gates of stage 4: one that says that everything was measured, and one for each requirement."""

from __future__ import annotations

from collections.abc import Mapping

MEASURED = "measured"
GATES: Mapping[str, str] = {
    MEASURED: "every workload and script of the task was measured in FP32 and under AMP",
    "speedup": "a training step in FP32 takes so many times as long as under AMP",
    "memory-reduction": "AMP keeps so much less of the activations for backward",
    "accuracy-difference": "AMP's validation accuracy differs from FP32's by no more, after the same steps and seeds",
    "loss-difference": "AMP's loss differs from FP32's by no more, after the same steps from the same seeds",
    "throughput": "AMP takes so many training steps, or samples, in a second",
    "roofline-share": "an AMP step takes no longer than this share of this machine's measured roofline allows",
    "regression": "an AMP step is no slower than the stored baseline of this machine class by more than this",
    "compile-speedup": "a training step under AMP takes so many times as long without torch.compile as with it",
}
# Figures that say something only where the device computes in AMP's format.
OF_SPEED = frozenset({"speedup", "throughput", "roofline-share"})
