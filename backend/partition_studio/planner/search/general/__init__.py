"""The best of all placements: CP-SAT over a relaxed model, with its proof."""
