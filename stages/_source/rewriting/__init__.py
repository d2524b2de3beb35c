"""What fixes share: finding the node that a finding is about, and edits of statements, calls and imports."""
