"""House rules for `verify`: a stage of its own, a rule that joins stage 1, and a report format."""
