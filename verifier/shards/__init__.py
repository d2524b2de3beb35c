"""One run dealt out to several machines (`--shard i/n`), and its reports joined again (`verify merge`)."""
