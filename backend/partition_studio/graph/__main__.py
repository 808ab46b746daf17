"""`python -m partition_studio.graph FILE`: load a network within limits and say, as JSON, whether it can be taken.

The studio runs this on every file that a person brings before it loads the file itself: parsers in C++ may crash, hang
or take all memory on a hostile file, and then it is this process that ends.
"""

import argparse
import json
import resource
import sys
from pathlib import Path


def main() -> None:
    """Set the limits, load, tell."""
    parser = argparse.ArgumentParser(prog="python -m partition_studio.graph", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--memory-bytes", type=int, help="address space that may be used")
    parser.add_argument("--cpu-s", type=int, help="processor time that may be used")
    parser.add_argument("--dims", type=json.loads, default={}, help="sizes of free dimensions, as JSON")
    options = parser.parse_args()
    if options.memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory_bytes, options.memory_bytes))
    if options.cpu_s is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (options.cpu_s, options.cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Imported under the limits.
    from partition_studio.errors import StudioError
    from partition_studio.graph.load import load_network
    from partition_studio.graph.network import NetworkForm

    try:
        load_network(options.file, form=NetworkForm(dims=tuple(sorted(options.dims.items()))))
    except StudioError as error:
        told = {
            "code": error.code,
            "message": error.message,
            "next_step": error.next_step,
            "details": dict(error.details),
        }
        sys.stdout.write(json.dumps(told) + "\n")
        sys.exit(1)
    except MemoryError:
        sys.exit(2)


if __name__ == "__main__":
    main()
