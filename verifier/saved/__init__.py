"""Reports that were written earlier, read again."""
