"""Keeping the cores busy, for the calibration of power."""
