"""Devices of inventory files."""
