"""The RUN family: one file per rule, each seen while the code runs."""
