"""Codecs for a plan's links: what they cost, which are best, and why."""
