"""Benchmarks that anyone can run: ratios within one run, beside the bound that could be reached."""
