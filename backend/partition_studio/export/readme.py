"""The package's own README: the three commands, and what may stand in the hosts file."""

from collections.abc import Sequence

_TEXT = """# {network} on {count} devices

Exported by Partition Studio. It runs the network `{network}`, divided over {devices}, by SSH: no studio is needed, and
on this machine only Python 3.8 or newer (Linux or macOS) and OpenSSH's `ssh`.

## Three commands

1. Say where the devices are: edit `hosts.json`. `ssh` is what you would give to `ssh` (an alias of your own, or
   `user@host`); `ssh THAT` must work without asking anything.

2. Prove it there: installs what the hosts lack, and compares one recorded frame with the whole network's answer.

       ./start --self-test

3. Run your frames: an .npz file with an array for each input ({inputs}), or .npy where there is one input. An array
   with one more dimension, or with more rows where the input has 1, holds several frames.

       ./start input.npz --out results.npz --frames 100

Nothing is left running afterwards, also after Ctrl+C. `./start --check` only looks whether every host can run its
part, `./start --stop` ends what another start left, `./start --uninstall` removes everything from the hosts;
`./start --help` lists the rest.

## hosts.json

    {{"devices": {{"NAME": {{"ssh": "user@host", "port": 22, "address": null, "python": null, "cores": [0, 1]}}}}}}

| key | meaning | left out, or null |
|---|---|---|
| `ssh` | where ssh connects to | the device's name |
| `port` | its port | what ssh's own configuration says |
| `address` | where the *other devices* reach it | the address at which ssh reached it |
| `python` | its Python, 3.8 or newer | the newest that is found |
| `cores` | the processor cores that its stages may use | all |

Another file, as with `--hosts FILE`, has the same form. Host keys are checked as your `ssh` always does.

## What is on the hosts

A 64-bit Linux with Python 3.8 or newer, nothing else. The agent's packages go into
`~/.partition-studio-export/` there and sub-models beside them, once. Wheels are in this package for: {platforms}. A
host of another kind fetches them with its own pip, checked against the hashes of `agent/requirements.lock`.

Tensors go from device to device over encrypted connections (ZeroMQ CURVE) with keys made for each run, which admit only
the devices of that run. Everything else goes through SSH; no other port is opened, and no key or token is written down.

## What is in this folder

`plan.json` the plan; `models/` the sub-models, with a manifest of stages and cuts; `expected.npz` the recorded frame
and the whole network's answer; `agent/`, `wheels/` what is installed on the hosts; `lib/` what `start` consists of;
`package.json` what it is told; `SHA256SUMS` every file but `hosts.json`, compared at each start.
"""


def readme(network: str, devices: Sequence[str], platforms: Sequence[str], inputs: Sequence[str]) -> str:
    """Return the text."""
    return _TEXT.format(
        network=network,
        count=len(devices),
        devices=", ".join(f"`{name}`" for name in devices),
        inputs=", ".join(f"`{name}`" for name in inputs),
        platforms=", ".join(platforms) or "none",
    )
