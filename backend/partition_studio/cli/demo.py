"""`partition-studio demo`: the studio on a real CNN over three local devices."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from partition_studio.cli.options import DataDirOption
from partition_studio.cli.output import JsonOption, print_json, say
from partition_studio.schemas import DeviceIn, PlanIn
from partition_studio.settings import DEFAULT_HOST, DEFAULT_PORT, demo_data_dir

if TYPE_CHECKING:
    from partition_studio.services import Services

DEMO_EXAMPLE = "digits"
DEMO_DEVICES = ("board-1", "board-2", "board-3")

#: Declared for the demo's devices so that the estimate can be seen: about a Raspberry Pi 4's.
DEMO_IDLE_W = 2.7
DEMO_BUSY_W = 6.4


def prepare(services: "Services") -> None:
    """Have the example network, three devices and a plan; what an earlier demo left is kept."""
    model = services.models.add_example(DEMO_EXAMPLE)
    cores = sorted(os.sched_getaffinity(0))
    known = services.devices.names()
    for number, name in enumerate(DEMO_DEVICES):
        if name not in known:
            services.devices.add(
                DeviceIn(
                    name=name,
                    address="local:",
                    cpus=[cores[number % len(cores)]],
                    idle_power_w=DEMO_IDLE_W,
                    busy_power_w=DEMO_BUSY_W,
                )
            )
    if not services.plans.all(model.id):
        plan = services.plans.spread(model.id, list(DEMO_DEVICES))
        services.plans.create(model.id, PlanIn(name="Demo", plan=plan))
    services.demo_model_id = model.id


def demo(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = DEFAULT_PORT,
    data_dir: DataDirOption = None,
    as_json: JsonOption = False,
) -> None:
    """Start the studio on a real CNN whose layers are spread over three devices on this machine."""
    from partition_studio.cli.serving import run_studio

    def announce(url: str, link: str) -> None:
        if as_json:
            print_json({"url": url, "link": link})
            return
        say("Three devices on this machine, and a CNN that reads handwritten digits, are ready.")
        say(f"Open this once in your browser:\n\n    {link}\n")
        say("There: press Deploy, then Run. Drag layers onto another board and deploy again. Ctrl+C ends it.")

    run_studio(
        host=host,
        port=port,
        data_dir=data_dir or demo_data_dir(),
        allow_hosts=[],
        prepare=prepare,
        announce=announce,
    )
