"""`verify --changed-since REF`: only what a change concerns."""
