"""What a run is compared with: figures of earlier runs on the same class of machine, and what they say of this one."""
