"""What the third tier needs to train: metrics, precision, benchmarks."""
