"""Applies fixes: from the findings of a run to edited files, each change judged again before it is kept."""
