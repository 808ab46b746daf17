"""Bringing the agent and its packages onto a device, starting and ending it."""
