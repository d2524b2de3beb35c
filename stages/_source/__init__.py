"""Source text shared by the static stages: read once, compiled once, parsed only where needed."""
