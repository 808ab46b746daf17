"""Tests of the pure core: graph, partition and planner."""
