"""Where tasks are verified: on this machine, or on those of a Ray cluster (`--executor`)."""
