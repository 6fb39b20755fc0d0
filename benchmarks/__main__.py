"""The figures that the bench is held to.

python -m benchmarks            what there is
python -m benchmarks NAME ...   one of them, with its options
python -m benchmarks all        each in a process of its own, one after the other
"""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path


def benchmarks() -> dict[str, str]:
    """Name of each benchmark beside this file and the first line of what it says of itself."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.stem.startswith("_"):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or path.stem
            found[path.stem] = text.splitlines()[0]
    return found


def main(arguments: list[str]) -> int:
    """Run what is asked for; the exit code is that of the benchmark, or 1 if one of all failed."""
    found = benchmarks()
    if not arguments:
        print("\n".join(f"{name:12}{line}" for name, line in found.items()))
        return 0
    name, *rest = arguments
    if name == "all":
        failed = []
        for each in found:
            print(f"== {each}", flush=True)
            if subprocess.call([sys.executable, "-P", "-m", f"benchmarks.{each}"]) != 0:
                failed.append(each)
        print(
            f"{len(found) - len(failed)} of {len(found)} benchmarks held"
            + "".join(f"; {name} did not" for name in failed)
        )
        return 1 if failed else 0
    if name not in found:
        print(f'benchmarks: there is no "{name}"; there are {", ".join(found)}, and all', file=sys.stderr)
        return 2
    sys.argv = [name, *rest]
    # As the main module, or the processes of a pool cannot find its functions.
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
