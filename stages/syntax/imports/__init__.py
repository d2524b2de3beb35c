"""Imports: resolved, drawn as a graph, and judged as CPython would execute them. Nothing is ever imported."""
