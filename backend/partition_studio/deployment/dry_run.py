"""What a deployment would send, found without touching a device."""

from partition_studio.deployment.spec import DeploymentSpec
from partition_studio.partition.submodel import require_deployable, submodels
from partition_studio.schemas import DeviceDryRunOut, DryRunOut, SentPartOut


def dry_run(spec: DeploymentSpec, old: DeploymentSpec | None) -> DryRunOut:
    """Tell what each device would be sent, beside `old`, the running deployment. Raises StageTooLargeError."""
    parts = submodels(spec.partition.network, spec.graph, annotated=False)
    require_deployable(parts)
    # Parts that take several frames in one go are written otherwise.
    there = _digests(old) if old is not None and old.plan.micro_batch == spec.plan.micro_batch else {}
    devices = []
    for device in spec.graph.devices:
        sent = [
            SentPartOut(
                stage=stage.name,
                size_bytes=parts[stage.name].size_bytes,
                # Only then reading all its weights tells something.
                is_there=device in there and parts[stage.name].digest in there[device],
            )
            for stage in spec.graph.on(device)
        ]
        devices.append(
            DeviceDryRunOut(
                device=device,
                parts=sent,
                total_bytes=sum(part.size_bytes for part in sent),
                send_bytes=sum(part.size_bytes for part in sent if not part.is_there),
            )
        )
    return DryRunOut(
        devices=devices,
        send_bytes=sum(device.send_bytes for device in devices),
        replaces=None if old is None else old.id,
        leaves=[] if old is None else [device for device in old.graph.devices if device not in spec.graph.devices],
    )


def _digests(spec: DeploymentSpec) -> dict[str, set[str]]:
    """Return what each device of a deployment was sent, as far as it was not written otherwise for its runtime."""
    parts = submodels(spec.partition.network, spec.graph, annotated=False)
    return {device: {parts[stage.name].digest for stage in spec.graph.on(device)} for device in spec.graph.devices}
