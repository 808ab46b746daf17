"""The best contiguous runs: each device computes one run of units."""
