"""To be written: where a piece is cut out of a join, take it from the joined parts directly."""

from partition_studio.partition.draft import Draft


def shorten(draft: Draft) -> None:
    """Rewire pieces of joined tensors."""
