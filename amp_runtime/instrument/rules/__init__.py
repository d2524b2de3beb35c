"""The run-time half of each rule: one file a code, named as the file of its static half."""
