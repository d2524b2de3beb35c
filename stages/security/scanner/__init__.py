"""A maintained secret scanner as a child process: found, bounded, understood, redacted."""
