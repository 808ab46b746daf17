"""The second opinion: a plan's flow, frame by frame."""
