"""To be written."""

from partition_studio.partition.draft import Draft, ShardError
from partition_studio.partition.plan import SpatialSharding


def apply(draft: Draft, sharding: SpatialSharding) -> None:
    """Divide the run."""
    raise ShardError("This strategy is not there yet.", layer=sharding.layers[0])
