"""The AMP sanitizer: watches a training program from outside and says where mixed precision is used wrongly."""
