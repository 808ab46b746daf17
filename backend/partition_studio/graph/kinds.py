"""The kinds of blocks and of a picture's nodes: names alone, which the API and the commands know without ONNX."""

from typing import Literal

BlockKind = Literal["stage", "residual", "inception", "fire", "dense", "branches", "named", "manual"]

PictureKind = Literal["conv", "dense", "pool", "norm", "join", "block", "other"]
