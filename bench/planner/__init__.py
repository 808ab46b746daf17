"""The planner against other ways to find a plan, against its bounds, and against reality."""
