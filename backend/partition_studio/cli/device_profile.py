"""`partition-studio device profile` and `profiles`: what the layers of a network take on a device."""

from typing import Annotated

import typer

from partition_studio.cli.jobs import run_job
from partition_studio.cli.model import find_model
from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, bytes_text, print_json, say, table
from partition_studio.errors import NotFoundError
from partition_studio.schemas import DeviceOut, JobOut, ProfileIn, ProfileOut, ProfileSummaryOut

#: How many of the slowest layers are listed.
SLOWEST = 10


def profile(
    name: Annotated[str, typer.Argument(help="The device's name.")],
    model: Annotated[str, typer.Argument(help="The model's id or name.", metavar="MODEL")],
    threads: Annotated[int, typer.Option(help="Threads; 0: the device's usable cores.", min=0, max=256)] = 0,
    again: Annotated[bool, typer.Option("--again", help="Measure anew what was measured before.")] = False,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure each layer of a model on a device: time, memory, and energy where it has a sensor."""
    client = open_client(url, data_dir)
    model_id = find_model(client, model).id
    request = ProfileIn(model_id=model_id, threads=threads, again=again)
    run_job(client, lambda: client.post(f"/api/devices/{name}/profiles", JobOut, request), quiet=as_json)
    found = client.get("/api/profiles", list[ProfileSummaryOut], device=name, model_id=model_id)
    wanted = [summary for summary in found if threads in (0, summary.threads)] or found
    shown = client.get(f"/api/profiles/{wanted[0].id}", ProfileOut)
    if as_json:
        print_json(shown)
    else:
        _describe(shown)


def _describe(found: ProfileOut) -> None:
    say(
        f"{found.model_name} on {found.device}: {_ms(found.run_s)} for one frame "
        f"(spread {_ms(found.run_spread_s)}), {found.threads} thread{'s' if found.threads != 1 else ''}, "
        f"ONNX Runtime {found.onnxruntime}, {found.provider}"
    )
    say(
        f"  fused kernels {_ms(found.kernels_s)} in {len(found.kernels)}, layers alone {_ms(found.layers_s)} "
        f"in {len(found.layers)}"
    )
    say(f"  weights {bytes_text(found.weight_bytes)}, peak memory {bytes_text(found.peak_bytes)}")
    energy = found.energy
    if energy is None:
        say("  energy: not known (no sensor, meter or model of power told any when it was measured)")
    else:
        net = "" if energy.net_j is None else f", {energy.net_j:.3g} J above idle"
        say(f"  energy {energy.gross_j:.3g} J a frame{net} ({energy.method} by {energy.source}, scope {energy.scope})")
    table(
        ("slowest layers", "alone", "spread", "weights", "output"),
        (
            (
                layer.layer,
                _ms(layer.median_s),
                _ms(layer.spread_s),
                bytes_text(layer.weight_bytes),
                bytes_text(layer.output_bytes),
            )
            for layer in sorted(found.layers, key=lambda layer: -layer.median_s)[:SLOWEST]
        ),
        right=("alone", "spread", "weights", "output"),
    )
    if found.codecs:
        table(
            ("codec", "encodes", "decodes"),
            (
                (speed.codec, f"{bytes_text(speed.encode_bytes_per_s)}/s", f"{bytes_text(speed.decode_bytes_per_s)}/s")
                for speed in found.codecs
            ),
            right=("encodes", "decodes"),
        )
    if found.carry is not None:
        per_mb_s = 1e6 * found.carry.byte_s
        say(f"  a message from or to elsewhere takes {_ms(found.carry.message_s)}, and {_ms(per_mb_s)} for each MB")
    for text in found.warnings:
        say(f"  warning: {text}")
    say(f"measured in {found.duration_s:.0f} s, {found.measured_at:%Y-%m-%d %H:%M} UTC")


def profiles(
    name: Annotated[str | None, typer.Argument(help="A device's name; every device when left out.")] = None,
    model: Annotated[str | None, typer.Argument(help="A model's id or name; every one when left out.")] = None,
    url: UrlOption = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was measured, of a device and of a model where they are named."""
    client = open_client(url, data_dir)
    wanted = {} if name is None else {"device": name}
    if name is not None and all(device.name != name for device in client.get("/api/devices", list[DeviceOut])):
        raise NotFoundError(f"There is no device {name!r}", next_step="List them with `partition-studio device list`.")
    if model is not None:
        wanted["model_id"] = find_model(client, model).id
    found = client.get("/api/profiles", list[ProfileSummaryOut], **wanted)
    if as_json:
        print_json(found)
        return
    table(
        ("id", "device", "model", "threads", "frame", "kernels", "layers alone", "energy", "measured"),
        (
            (
                str(summary.id),
                summary.device,
                summary.model_name,
                str(summary.threads),
                _ms(summary.run_s),
                _ms(summary.kernels_s),
                _ms(summary.layers_s),
                "-" if summary.energy is None else f"{summary.energy.gross_j:.3g} J",
                f"{summary.measured_at:%Y-%m-%d %H:%M}",
            )
            for summary in found
        ),
        right=("threads", "frame", "kernels", "layers alone", "energy"),
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
