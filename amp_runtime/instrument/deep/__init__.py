"""One training step looked into, operator by operator: numbers born, gradients against FP32, work, casts, waits."""
