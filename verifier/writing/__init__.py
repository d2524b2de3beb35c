"""How a report of several files takes the place of the one before it, whatever ends the run in between."""
