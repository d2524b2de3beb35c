"""FP32 against AMP on one model: time, memory and quality, each figure with how it was measured."""
