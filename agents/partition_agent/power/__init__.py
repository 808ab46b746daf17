"""Where power figures come from: one file per source, the best one chosen by `selection`."""
