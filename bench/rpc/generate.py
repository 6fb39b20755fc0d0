"""Writes the code of the messages from ``runner.proto``: ``python -P -m bench.rpc.generate``."""

from __future__ import annotations

import tempfile
from pathlib import Path

HERE = Path(__file__).parent
PROTO = "bench/rpc/runner.proto"
SUFFIXES = ("py", "pyi")

STUB_HEADER = """\
# mypy: disable-error-code="misc, type-arg, metaclass"
# ruff: noqa
# fmt: off
"""
"""What the generated stub needs to live under our checks; protobuf itself is untyped."""


def generated() -> dict[str, str]:
    """Name and text of each file that the interface gives; needs grpcio-tools, which only developers have."""
    from grpc_tools import protoc  # type: ignore[import-untyped]  # a tool without types

    with tempfile.TemporaryDirectory() as folder:
        root = HERE.parents[1]
        out = [f"--python_out={folder}", f"--pyi_out={folder}"]
        if protoc.main(["protoc", f"-I{root}", *out, str(root / PROTO)]) != 0:
            raise ValueError(f"{PROTO}: protoc does not take it; see what it said")
        made = {suffix: (Path(folder) / PROTO).with_name(f"runner_pb2.{suffix}") for suffix in SUFFIXES}
        texts = {path.name: path.read_text("utf-8") for path in made.values()}
    texts["runner_pb2.pyi"] = STUB_HEADER + texts["runner_pb2.pyi"]
    return texts


if __name__ == "__main__":
    for name, text in generated().items():
        (HERE / name).write_text(text, "utf-8", newline="\n")
