"""To be written."""

from partition_studio.partition.draft import Draft, ShardError
from partition_studio.partition.plan import OutputChannelSharding


def apply(draft: Draft, sharding: OutputChannelSharding) -> None:
    """Divide the run."""
    raise ShardError("This strategy is not there yet.", layer=sharding.layers[0])
