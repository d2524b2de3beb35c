"""The findings that a project has accepted: read, matched, and only ever made fewer."""
