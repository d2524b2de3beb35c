"""House rules for `verify`: a stage of its own and a rule that joins stage 1."""
