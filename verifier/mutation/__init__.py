"""`verify mutate`: puts hazards into a working task, one at a time, and says what catches each."""
