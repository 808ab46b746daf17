"""`partition-studio export`: a plan as a folder that runs it by SSH without the studio; offline."""

import secrets
from pathlib import Path
from typing import Annotated

import typer

from partition_studio.cli.model import read_bytes
from partition_studio.cli.options import DataDirOption
from partition_studio.cli.output import JsonOption, bytes_text, complaints, print_json, say
from partition_studio.cli.plan import ModelArgument, PlanArgument


def export(
    model: ModelArgument,
    plan: PlanArgument,
    out: Annotated[Path, typer.Option(help="Folder for the package; it appears whole or not at all.")],
    wheels: Annotated[
        list[str] | None,
        typer.Option(
            help="A kind of host to bring wheels for, such as cp311-aarch64; may be given again. `none`: the hosts "
            "fetch them. Left out: this machine's kind.",
            metavar="PLATFORM",
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the recorded random frame.")] = None,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write sub-models, plan, agent, a hosts file and a start script that runs them by SSH without the studio."""
    from partition_studio.export.package import export_package
    from partition_studio.export.wheels import targets_of
    from partition_studio.fleet.install.wheelhouse import WheelhouseCache
    from partition_studio.partition.plan import parse_plan
    from partition_studio.settings import open_data_dir

    def tell(text: str) -> None:
        complaints.print(text, markup=False)

    made = export_package(
        model,
        parse_plan(read_bytes(plan)),
        out,
        targets=targets_of(wheels or []),
        wheelhouses=WheelhouseCache(open_data_dir(data_dir).wheelhouse),
        seed=secrets.randbelow(2**31) if seed is None else seed,
        say=tell,
    )
    if as_json:
        print_json(
            {
                "out": str(made.out),
                "sha256": made.digest,
                "devices": list(made.devices),
                "stages": made.stages,
                "size_bytes": made.size_bytes,
                "platforms": list(made.platforms),
                "seed": made.seed,
                "max_rel": made.verification.max_rel,
            }
        )
        return
    platforms = ", ".join(made.platforms) or "no platform"
    what = f"{made.stages} stages for {len(made.devices)} devices, {bytes_text(made.size_bytes)}"
    say(f"{made.out}: {what}, wheels for {platforms}.")
    say(f"Say where the devices are in {made.out / 'hosts.json'}, then run {made.out / 'start'} --self-test.")
