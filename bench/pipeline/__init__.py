"""Partitioned networks against whole ones, every bar with its bound: `python -m bench.pipeline`."""
