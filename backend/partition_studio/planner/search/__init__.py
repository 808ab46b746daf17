"""Searches: from what is wanted to the best plan, with its proof."""
