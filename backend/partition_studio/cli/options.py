"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.client import StudioClient, find_studio
from partition_studio.schemas import PreprocessingOut
from partition_studio.settings import DATA_DIR_VARIABLE, URL_VARIABLE

UrlOption = Annotated[
    str | None, typer.Option("--url", help=f"The studio's address; also {URL_VARIABLE}.", metavar="URL")
]
DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help=f"The studio's data folder; also {DATA_DIR_VARIABLE}.")
]
ChannelsOption = Annotated[str | None, typer.Option("--channels", help="Channel order of images: rgb or bgr.")]
ScaleOption = Annotated[float | None, typer.Option("--scale", help="Factor on pixel values (0 to 255).")]
MeanOption = Annotated[
    str | None, typer.Option("--mean", help="Subtracted after scaling; one number or one a channel.")
]
StdOption = Annotated[str | None, typer.Option("--std", help="Divisor after the mean; one number or one a channel.")]


def open_client(url: str | None, data_dir: Path | None) -> StudioClient:
    """Return a client of the running studio."""
    return StudioClient(find_studio(url, data_dir))


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a number or numbers with commas", param_hint=option) from None


def preprocessing_from(
    channels: str | None, scale: float | None, mean: str | None, std: str | None
) -> PreprocessingOut | None:
    """Return how images become inputs, or None when nothing was said."""
    if channels is None and scale is None and mean is None and std is None:
        return None
    if channels not in (None, "rgb", "bgr"):
        raise typer.BadParameter(f"{channels!r} is neither rgb nor bgr", param_hint="--channels")
    default = PreprocessingOut()
    return PreprocessingOut(
        channel_order="bgr" if channels == "bgr" else "rgb",
        scale=default.scale if scale is None else scale,
        mean=default.mean if mean is None else _numbers(mean, "--mean"),
        std=default.std if std is None else _numbers(std, "--std"),
    )
