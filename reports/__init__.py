"""The built-in report formats: pure functions of a finished report."""
