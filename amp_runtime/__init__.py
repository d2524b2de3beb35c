"""Mixed-precision training for PyTorch: capability, precision policies, a correct step, a loop, instruments."""
