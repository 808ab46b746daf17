"""One device in use: its connection, its agent, and who needs it."""
