"""Measuring the layers of a sub-model on this device."""
