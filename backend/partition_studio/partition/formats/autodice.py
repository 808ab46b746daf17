"""AutoDiCE's files: the mapping of layers to hosts, the horizontal file that divides layers, and the platform file."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from partition_studio.errors import PlanError
from partition_studio.graph.network import Network
from partition_studio.partition.formats.imported import Imported
from partition_studio.partition.plan import Plan


@dataclass(frozen=True, slots=True)
class AutodiceFiles:
    """The text of each file; `horizontal` divides layers, `platform` describes the hosts."""

    mapping: str
    horizontal: str | None = None
    platform: str | None = None


def import_autodice(
    network: Network, files: AutodiceFiles, *, devices: Mapping[str, str], original: Collection[str]
) -> Imported:
    raise PlanError("Not yet.")


def export_autodice(network: Network, plan: Plan) -> AutodiceFiles:
    raise PlanError("Not yet.")
