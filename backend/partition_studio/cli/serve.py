"""`partition-studio serve`: the studio."""

from typing import Annotated

import typer

from partition_studio.cli.options import DataDirOption
from partition_studio.cli.output import JsonOption, print_json, say
from partition_studio.settings import DEFAULT_HOST, DEFAULT_PORT


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = DEFAULT_HOST,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = DEFAULT_PORT,
    data_dir: DataDirOption = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name under which browsers reach the studio (repeatable).")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Start the studio and print a one-time link for your browser."""
    from partition_studio.cli.serving import run_studio

    def announce(url: str, link: str) -> None:
        if as_json:
            print_json({"url": url, "link": link})
        else:
            say(f"Partition Studio is at {url}")
            say(f"Open this once in your browser:\n\n    {link}\n")
            say("Ctrl+C ends it.")

    run_studio(
        host=host,
        port=port,
        data_dir=data_dir,
        allow_hosts=allow_host or [],
        prepare=lambda _services: None,
        announce=announce,
    )
