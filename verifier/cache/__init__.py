"""What an earlier run established and this one need not establish again: kept by content, never trusted blindly."""
