"""The agent runs on boards whose Python is 3.8: its code must be readable there."""

import ast
from pathlib import Path

import pytest

import partition_agent

SOURCES = sorted(Path(partition_agent.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_agents_code_is_python_3_8(path: Path) -> None:
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    # Built-in classes as generics are evaluated in annotations of functions, and fail before 3.9.
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            assert node.value.id not in ("list", "dict", "tuple", "set", "type", "frozenset"), f"line {node.lineno}"
