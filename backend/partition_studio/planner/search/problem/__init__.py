"""A question as numbers, and what an assignment costs."""
