"""AMP costs the classifier no accuracy: five seeds, each against FP32 from the same seed."""

from amp_runtime.benchmark.quality import Budget, train_from_seeds
from amp_runtime.workloads import digits


def test_the_classifier_is_within_a_hundredth_of_fp32_over_five_seeds():
    budget = Budget(steps=44)  # twice over the images
    fp32, amp = (train_from_seeds(digits, budget, amp=low) for low in (False, True))
    assert len(fp32.accuracies) == len(amp.accuracies) == 5
    assert min(fp32.accuracies) > 0.75
    assert max(abs(low - exact) for exact, low in zip(fp32.accuracies, amp.accuracies, strict=True)) < 0.01
