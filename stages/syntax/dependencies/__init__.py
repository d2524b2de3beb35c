"""What a project declares against what it imports."""
