"""Configuration files: those of a task must parse, and a pyproject.toml must mean something to installers."""

from stages.syntax.configuration.check import Configured, check_configuration

__all__ = ["Configured", "check_configuration"]
