"""Injects AMP hazards into correct training code, one at a time: the list of operators and how each edits."""
