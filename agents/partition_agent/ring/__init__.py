"""The samples on the device's disk, until a studio has fetched them."""
