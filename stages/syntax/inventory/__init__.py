"""What a reader of stage 1 wants to know besides findings: facts about a small task, read from its syntax trees."""

from stages.syntax.inventory.collect import inventory

__all__ = ["inventory"]
