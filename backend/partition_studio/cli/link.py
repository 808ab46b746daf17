"""`partition-studio link`: a new one-time link for a browser."""

import typer

from partition_studio.cli.options import DataDirOption, UrlOption, open_client
from partition_studio.cli.output import JsonOption, print_json


def link(url: UrlOption = None, data_dir: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Print a link that signs one browser in to the running studio."""
    client = open_client(url, data_dir)
    ticket = client.post("/api/tickets", dict[str, str])["ticket"]
    address = f"{client.url}/login?ticket={ticket}"
    if as_json:
        print_json({"link": address})
    else:
        typer.echo(address)
