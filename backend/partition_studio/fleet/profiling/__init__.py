"""Having a device measure the layers of a network."""
