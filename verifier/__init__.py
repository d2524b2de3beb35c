"""The core of `verify`: decides PASS or BLOCK; knows no concrete stage or report format."""

__version__ = "0.1.0"
