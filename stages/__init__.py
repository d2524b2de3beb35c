"""The built-in stages: pluggy plugins that enter by the same door as anybody else's."""
