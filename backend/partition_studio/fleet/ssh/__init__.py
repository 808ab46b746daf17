"""Reaching a device by SSH: configuration, greeting, host keys, login, channels, uploads."""
