"""Many files side by side: in processes of this computer, or on a Dask cluster that is there already."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.archive.guard import Guard
from bench.closing import code_hash

Looked = Generator[tuple[Path, dict[str, Any]], None, None]

CONNECT_S = 10.0

_GUARDS: dict[tuple[str, int], Guard] = {}
"""On a Dask worker: the guard of each evaluation and thread, kept from task to task, since one takes long to start."""


class ClusterError(ValueError):
    """A cluster that cannot do the work; the sentence says why and what to do."""


def look_here(files: Iterable[Path], jobs: int, patience_s: float) -> Looked:
    """Each file and what was said of it, as they end; to close it ends the processes."""
    remaining = iter(files)
    guards = [Guard(patience_s) for _ in range(jobs)]
    idle = list(guards)
    try:
        with ThreadPoolExecutor(jobs) as threads:
            under_way: dict[Future[dict[str, Any]], tuple[Guard, Path]] = {}
            try:
                while True:
                    while idle and (path := next(remaining, None)) is not None:
                        guard = idle.pop()
                        under_way[threads.submit(guard.look, path)] = guard, path
                    if not under_way:
                        return
                    for future in wait(under_way, return_when=FIRST_COMPLETED)[0]:
                        guard, path = under_way.pop(future)
                        idle.append(guard)
                        yield path, future.result()
            finally:
                for guard in guards:
                    guard.end()
    finally:
        for guard in guards:
            guard.close()


def look_on_cluster(files: Iterable[Path], address: str, patience_s: float) -> Looked:
    """The same on a Dask cluster, whose workers see the files under the same paths and have the same code.

    Raises
    ------
    ClusterError
        There is no scheduler, no worker, or a worker whose code is another one.
    """
    from distributed import Client, as_completed

    try:
        client: Any = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]  # not annotated
    except (OSError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ClusterError(f"--scheduler {address}: no Dask scheduler answers there ({said}); start one") from None
    with client:
        _same_code(client, address)
        who = str(uuid4())
        asked = {client.submit(_look_there, who, str(path), patience_s, pure=False): path for path in files}
        try:
            ended: Any = as_completed(  # type: ignore[no-untyped-call]  # not annotated
                asked, loop=client.loop, with_results=True, raise_errors=False
            )
            for future, said in ended:
                yield asked[future], said if future.status == "finished" else _lost(said)
        finally:
            client.cancel(list(asked))
            client.run(_end_guards, who)


def _look_there(who: str, path: str, patience_s: float) -> dict[str, Any]:
    """Runs on a worker: in a process of its own there too."""
    guard = _GUARDS.setdefault((who, threading.get_ident()), Guard(patience_s))
    return guard.look(Path(path))


def _end_guards(who: str) -> None:
    """Runs on a worker when an evaluation is over."""
    for key in [key for key in list(_GUARDS) if key[0] == who]:
        if (guard := _GUARDS.pop(key, None)) is not None:
            guard.close()


def _same_code(client: Any, address: str) -> None:
    """Whether each worker would judge as this program does."""
    try:
        codes: dict[str, str] = client.run(code_hash)
    except Exception as error:  # noqa: BLE001  # whatever a worker without our code raises
        raise ClusterError(
            f"--scheduler {address}: a worker cannot judge runs ({type(error).__name__}: {error}); install the same "
            "pumpbench there"
        ) from None
    if not codes:
        raise ClusterError(f"--scheduler {address}: it has no workers; start some, such as: dask worker {address}")
    others = sorted(worker for worker, code in codes.items() if code != code_hash())
    if others:
        raise ClusterError(
            f"--scheduler {address}: {', '.join(others)} would judge by other code than this program; "
            "install the same version there"
        )


def _lost(said: object) -> dict[str, Any]:
    """A task that never came back: its worker was lost with it."""
    error = said[1] if isinstance(said, tuple) and len(said) > 1 else said
    return {"outcome": "died", "why": f"the worker was lost ({type(error).__name__}: {error})", "changes": []}
