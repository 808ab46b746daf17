"""The sub-models that lie on the device: `<digest>.onnx` in one folder, what is made of them in a folder beside it."""

import hashlib
import logging
import os
import re
import shutil
from pathlib import Path
from typing import Callable, Iterable, Set

from partition_agent.loading.stage_errors import StageError
from partition_agent.protocol import StageSpec

logger = logging.getLogger(__name__)

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1024 * 1024

#: Models that this processor's ONNX Runtime has optimised: beside the folder of the models that were sent.
_OPTIMISED = "optimised"


def no_check() -> None:
    """Never give up."""
    return


def model_path(models_dir: Path, digest: str) -> Path:
    """Return where the sub-model of that digest lies. Raises ValueError for what is no digest."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError("not a SHA-256 digest")
    return models_dir / (digest + ".onnx")


def optimised_folder(models_dir: Path, digest: str) -> Path:
    """Return the folder of what was made of a sub-model. Raises ValueError for what is no digest."""
    return models_dir.parent / _OPTIMISED / model_path(models_dir, digest).stem


def file_digest(path: Path, check: Callable[[], None] = no_check) -> str:
    """Return the SHA-256 (hex) of a file, which is no link. Raises OSError; `check` may raise to give up."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0, opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW)) as file:
        for chunk in iter(lambda: file.read(_CHUNK_BYTES), b""):
            digest.update(chunk)
            check()
    return digest.hexdigest()


def verified_model(models_dir: Path, spec: StageSpec, check: Callable[[], None] = no_check) -> Path:
    """Return the path of a stage's sub-model whose bytes are those of its digest. Raises StageError.

    `check` is called between reads and may raise to give up.
    """
    try:
        path = model_path(models_dir, spec.digest)
        digest = file_digest(path, check)
    except FileNotFoundError:
        raise StageError("model_missing", spec.name, f"the sub-model of {spec.name!r} is not on the device") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise StageError(
            "model_unreadable", spec.name, f"the sub-model of {spec.name!r} cannot be read: {reason}"
        ) from error
    if digest != spec.digest:
        raise StageError(
            "digest_mismatch", spec.name, f"the sub-model of {spec.name!r} on the device is not the one that was sent"
        )
    return path


def model_digests(models_dir: Path) -> Set[str]:
    """Return the digests of the sub-models that are here, those that have come in part among them."""
    return {path.name.split(".")[0] for path in models_dir.glob("*.onnx*")}


def delete_models(models_dir: Path, digests: Iterable[str]) -> None:
    """Delete the sub-models of these digests, what has come of them in part, and what was made of them.

    One that is gone is no fault.
    """
    for digest in digests:
        try:
            path = model_path(models_dir, digest)
            for file in (path, path.with_name(path.name + ".part")):
                if file.exists():
                    file.unlink()
            delete_folder(optimised_folder(models_dir, digest))
        except (OSError, ValueError) as error:
            logger.warning("model_not_deleted", extra={"digest": digest[:64], "reason": str(error)})


def delete_everything_made(models_dir: Path) -> None:
    """Delete whatever was made of sub-models, whichever they were."""
    try:
        delete_folder(models_dir.parent / _OPTIMISED)
    except OSError as error:
        logger.warning("optimised_models_not_deleted", extra={"reason": str(error)})


def delete_folder(folder: Path) -> None:
    """Delete a folder and all in it; one that is gone is no fault. Raises OSError."""
    try:
        shutil.rmtree(str(folder))
    except FileNotFoundError:
        return
