"""Measuring the links between devices."""
