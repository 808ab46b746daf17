"""What a check of a plan found, in the form that people and programs are told."""

from partition_agent.protocol import STUDIO_PEER
from partition_studio.graph.network import Network
from partition_studio.partition.check import PlanReport
from partition_studio.partition.partition import Division
from partition_studio.partition.plan import Plan
from partition_studio.schemas import (
    CutOut,
    DeviceCostOut,
    DividedLayerOut,
    PartOut,
    PlanProblemOut,
    PlanReportOut,
    ShardOut,
    StageOut,
)


def report_out(report: PlanReport, network: Network, plan: Plan) -> PlanReportOut:
    """Describe what a check of `plan` found."""
    return PlanReportOut(
        problems=[PlanProblemOut.model_validate(problem) for problem in report.problems],
        devices=[
            DeviceCostOut(
                device=cost.device,
                layers=cost.layers,
                macs=cost.macs,
                parameters=cost.parameters,
                weight_bytes=cost.weight_bytes,
                activation_bytes=cost.peak_activation_bytes,
                likely_memory_bytes=cost.likely_memory_bytes,
                received_bytes=cost.received_bytes,
                sent_bytes=cost.sent_bytes,
                bound_bytes=cost.bound.bound_bytes,
                agent_bytes=cost.bound.agent_bytes,
                load_bytes=cost.bound.load_bytes,
                receive_bytes=cost.bound.receive_bytes,
                send_bytes=cost.bound.send_bytes,
            )
            for cost in report.costs
        ],
        stages=[
            StageOut(name=stage.name, device=stage.device, layers=list(stage.layers), devices=list(stage.devices))
            for stage in report.stages
        ],
        cuts=[
            CutOut(
                producer=cut.producer,
                consumer=cut.consumer,
                producer_device=cut.producer_device or STUDIO_PEER,
                consumer_device=cut.consumer_device or STUDIO_PEER,
                tensors=list(cut.tensors),
                size_bytes=cut.size_bytes,
                codecs=dict(cut.codecs),
            )
            for cut in report.cuts
        ],
        shards=shards_out(network, plan),
        divided=[] if report.division is None else divided_out(network, plan, report.division),
    )


def shards_out(network: Network, plan: Plan) -> list[ShardOut]:
    """Describe the shardings of a plan."""
    return [
        ShardOut(
            index=index,
            strategy=sharding.strategy,
            layers=list(sharding.layers),
            whole_layers=list(dict.fromkeys(_whole(network, name) for name in sharding.layers)),
            devices=list(sharding.devices),
        )
        for index, sharding in enumerate(plan.shards)
    ]


def divided_out(network: Network, plan: Plan, division: Division) -> list[DividedLayerOut]:
    """Describe every divided layer: the layers that it became, and where they run."""
    shards: dict[str, list[int]] = {}
    for shard in shards_out(network, plan):
        for name in shard.whole_layers:
            shards.setdefault(name, []).append(shard.index)
    parts: dict[str, list[PartOut]] = {}
    for layer in division.network.layers:
        source = division.sources.get(layer.name)
        if source is None:
            continue
        device = plan.placement.get(layer.name) or division.devices.get(layer.name) or ""
        glue = layer.name.startswith(("take:", "join:"))
        part = PartOut(name=layer.name, device=device, op_type=layer.op_type, glue=glue)
        parts.setdefault(source, []).append(part)
    order = sorted((name for name in shards if name in network.position), key=network.position.__getitem__)
    return [DividedLayerOut(layer=name, shards=shards[name], parts=parts.get(name, [])) for name in order]


def _whole(network: Network, name: str) -> str:
    """Return the layer of the whole network that a layer named in a sharding comes from: `conv1` of `conv1#0#1`."""
    whole = name
    while whole not in network.layers_by_name and "#" in whole:
        whole = whole.rpartition("#")[0]
    return whole if whole in network.layers_by_name else name
