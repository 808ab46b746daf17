"""The cases of the benchmark, one file each."""
