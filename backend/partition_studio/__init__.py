"""Partition Studio: split a convolutional network over several devices, deploy it and watch it run."""

__version__ = "0.1.0"
