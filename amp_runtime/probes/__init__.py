"""What runs in the child process. Loaded from the installation under a private name (see bootstrap)."""
