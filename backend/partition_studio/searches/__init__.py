"""Searches in processes of their own, so that the studio goes on answering while one computes."""
