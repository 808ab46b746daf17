"""What a device is, and whether the agent can run there."""
