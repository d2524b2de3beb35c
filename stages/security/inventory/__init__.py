"""What leaves for experiment trackers: by tracker, key, source expression and line."""

from stages.security.inventory.calls import WANTED, Sent, sent
from stages.security.inventory.rows import tracked

__all__ = ["WANTED", "Sent", "sent", "tracked"]
