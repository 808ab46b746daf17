"""What a device says of its part of a deployment is not to be trusted: only what was asked for, bounded. Pure."""

from collections.abc import Mapping, Sequence

import msgspec

from partition_agent.protocol import DeploymentInfo, Prepared, Result
from partition_studio.deployment.errors import DeviceLostError
from partition_studio.deployment.manifest import DeviceShare
from partition_studio.errors import DeploymentError
from partition_studio.fleet.text import clean_text

MAX_NOTES = 32
MAX_NOTE = 400
MAX_PROVIDER = 80

_MAX_PORT = 65535

_NEXT_STEP = "Install the studio's own version of the agent there, and find out what answers in its place."

#: A CURVE key as text: 32 bytes in Z85 (ZeroMQ RFC 32).
_KEY_CHARACTERS = 40
_Z85 = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#")


def clean_prepared(answer: Result, share: DeviceShare, *, plaintext: bool) -> Prepared:
    """Return what a device said of the stages that it was given. Raises DeploymentError for what cannot be."""
    if not isinstance(answer, Prepared):
        raise _nonsense(share.device, "not with what it prepared")
    _require_socket(share.device, answer, plaintext=plaintext)
    most = {stage.name: stage.max_batch for stage in share.stages}
    return msgspec.structs.replace(
        answer,
        load_s={},
        providers={
            name: clean_text(provider, limit=MAX_PROVIDER)
            for name, provider in answer.providers.items()
            if name in most
        },
        batches={name: min(max(batch, 1), most[name]) for name, batch in answer.batches.items() if name in most},
        # Whose notes they are is said where they are shown.
        notes=tuple(
            clean_text(note, limit=MAX_NOTE).removeprefix(f"{share.device}: ") for note in answer.notes[:MAX_NOTES]
        ),
    )


def find_held(
    deployments: Sequence[DeploymentInfo], share: DeviceShare, deployment: str, epoch: int, *, plaintext: bool
) -> DeploymentInfo:
    """Return what a device holds as its share. Raises DeviceLostError where it is not there, DeploymentError."""
    wanted = {stage.name for stage in share.stages}
    for held in deployments:
        if (held.deployment, held.epoch) == (deployment, epoch) and wanted == set(held.stages):
            _require_socket(share.device, held, plaintext=plaintext)
            return held
    raise DeviceLostError(f"{share.device} no longer runs its part of the deployment", device=share.device)


def require_own_keys(keys: Mapping[str, str]) -> None:
    """Check that no two devices have the same key: one could be taken for the other. Raises DeploymentError."""
    owners: dict[str, str] = {}
    for device, key in keys.items():
        owner = owners.setdefault(key, device)
        if key and owner != device:
            raise DeploymentError(
                f"{owner} and {device} say that they have the same key", device=device, next_step=_NEXT_STEP
            )


def _require_socket(device: str, said: Prepared | DeploymentInfo, *, plaintext: bool) -> None:
    key = said.public_key
    has_key = not key if plaintext else len(key) == _KEY_CHARACTERS and _Z85.issuperset(key)
    if not (0 < said.data_port <= _MAX_PORT and has_key):
        raise _nonsense(device, "no data socket has such a port and key")


def _nonsense(device: str, what: str) -> DeploymentError:
    message = f"{device} answered the deployment with nonsense: {what}"
    return DeploymentError(message, device=device, next_step=_NEXT_STEP)
