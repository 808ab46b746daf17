"""One file for each way to divide layers. Each rewrites a draft: `apply(draft, sharding)`; raises ShardError."""
