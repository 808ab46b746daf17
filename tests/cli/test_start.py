"""A command that only asks the studio something does not wait for the code of what it does not do."""

import subprocess
import sys

HEAVY = ("numpy", "onnx", "onnxruntime", "ortools", "fastapi", "sqlalchemy", "paramiko")


def test_commands_begin_without_onnx_the_runtime_and_the_web_server() -> None:
    look = f"import sys, partition_studio.cli.main; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout == "[]\n"
