"""The `partition-studio` command.

Commands import what only they need when they run: one that asks the studio something must not wait until the code of
the web server or of ONNX Runtime is loaded.
"""

import sys

import typer

import partition_studio
from partition_studio.cli import (
    demo,
    deployment,
    deployment_show,
    device,
    export,
    jobs,
    link,
    model,
    plan,
    serve,
    split,
    verify,
)
from partition_studio.cli.output import fail
from partition_studio.errors import StudioError

app = typer.Typer(
    name="partition-studio",
    help="Split a convolutional network over several devices, deploy it over SSH and watch it run.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("link")(link.link)
app.add_typer(model.app, name="model")
app.add_typer(device.app, name="device")
app.add_typer(plan.app, name="plan")
app.add_typer(jobs.app, name="jobs")
app.command("split")(split.split)
app.command("verify")(verify.verify)
app.command("export")(export.export)
app.command("deploy")(deployment.deploy)
app.command("status")(deployment.status)
app.command("show")(deployment_show.show)
app.command("run")(deployment.run)
app.command("bench")(deployment.bench)
app.command("logs")(device.logs)
app.command("stop")(deployment.stop)


@app.callback(invoke_without_command=True)
def _options(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        typer.echo(partition_studio.__version__)
        raise typer.Exit


def main() -> None:
    """Run the command; errors of our family become a readable message and an exit code."""
    try:
        app()
    except StudioError as error:
        fail(error, as_document="--json" in sys.argv)
    except BrokenPipeError:
        # Whoever read our output (such as `head`) has enough.
        sys.stderr.close()
        sys.exit(141)


if __name__ == "__main__":
    main()
