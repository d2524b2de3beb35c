"""What stage 4 reports: one file a rule."""
