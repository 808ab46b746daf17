"""Plans beyond placements: replicas, divided layers, codecs."""
