"""What is measured, one case to a file."""
