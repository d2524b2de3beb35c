"""What the trainer shares."""
