"""What `verify analyze` establishes about single modules besides findings: facts for its sections, read from source."""
