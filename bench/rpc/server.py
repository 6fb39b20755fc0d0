"""The servers of a runner: one for all that it offers, and one with threads and a socket of its own for the stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc

from bench.rpc import runner_pb2 as pb
from bench.rpc.desk import FOLLOWERS, Desk, RefusedError
from bench.rpc.doors import DoorError, Doors, private_files, remove
from bench.rpc.messages import Command, Grant, Outcome, Reply, Stop
from bench.rpc.tail import JournalTail, Marks, Piece
from bench.rpc.wire import SERVER_OPTIONS, TokenCheck, handlers
from data.journal import JournalError
from instruments.clock import Event

SPARE_THREADS = 8
"""Threads beside one for each follower, so that a command finds one however many follow and however slow they are."""

STOP_THREADS = 4

LOOK_EVERY_S = 0.2
"""A follower looks at the file this often, and at once when the journal was synced."""

GRACE_S = 5.0
"""Followers get this long to read the rest when the run has ended; who takes longer reads the file."""


@contextmanager
def serving(desk: Desk, doors: Doors) -> Iterator[Doors]:
    """Answer clients of a desk; gives the doors as they are (ports are chosen by the system).

    Raises
    ------
    DoorError
        An address cannot be had.
    """
    service = _Service(desk)
    calls = {"Follow": service.follow, "Status": service.status, "Command": service.command, "Lease": service.lease}
    stop, at_stop = _server(STOP_THREADS, "Stop", {"Stop": service.stop}, doors.stop, doors.token)
    try:
        main, at_main = _server(FOLLOWERS + SPARE_THREADS, "Runner", calls, doors.main, doors.token)
        try:
            yield replace(doors, main=at_main, stop=at_stop)
        finally:
            main.stop(GRACE_S).wait()
            remove(at_main)
    finally:
        stop.stop(0).wait()
        remove(at_stop)


def _server(
    threads: int, service: str, calls: Mapping[str, Callable[[Any, Any], Any]], address: str, token: str
) -> tuple[grpc.Server, str]:
    """A server that listens, and where."""
    interceptors = [TokenCheck(token)] if token else []
    pool = ThreadPoolExecutor(threads, thread_name_prefix=service)
    server = grpc.server(pool, [handlers(service, calls)], interceptors, SERVER_OPTIONS)
    remove(address)  # of a runner that died
    try:
        with private_files():
            port = server.add_insecure_port(address)
    except RuntimeError:
        raise DoorError(f"{address}: nobody can listen there; is the folder writable?") from None
    server.start()
    if not address.startswith("unix:"):
        return server, f"{address.rpartition(':')[0]}:{port}"
    return server, address


class _Service:
    """The calls, as gRPC has them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._marks = Marks()

    def follow(self, request: pb.FollowRequest, context: grpc.ServicerContext) -> Iterator[pb.Followed]:
        try:
            with self._desk.bell() as bell:
                yield from self._journal(request.from_seq, context, bell)
        except RefusedError as error:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, str(error))
        except JournalError as error:
            context.abort(grpc.StatusCode.DATA_LOSS, str(error))

    def _journal(self, from_seq: int, context: grpc.ServicerContext, bell: Event) -> Iterator[pb.Followed]:
        desk = self._desk
        path = self._path(context, bell)
        if path is not None:
            with JournalTail(path, from_seq, self._marks) as tail:
                while context.is_active():
                    bell.clear()
                    over = desk.ending is not None  # before the last look, so that nothing is missed
                    for piece in iter(tail.take, None):
                        yield pb.Followed(frames=_frames(piece))
                    if over:
                        break
                    desk.wall.wait(bell, desk.wall.now() + LOOK_EVERY_S)
                if tail.next_seq < from_seq:
                    context.abort(
                        grpc.StatusCode.OUT_OF_RANGE, f"the journal ended before frame {from_seq}; follow it from 0"
                    )
        if desk.ending is not None:
            yield pb.Followed(ending=desk.ending.to_pb())

    def _path(self, context: grpc.ServicerContext, bell: Event) -> Path | None:
        """The journal, as soon as there is one; None when the run ended without."""
        desk = self._desk
        while context.is_active():
            bell.clear()
            over = desk.ending is not None
            if journal := desk.status().journal:
                return Path(journal)
            if over:
                break
            desk.wall.wait(bell, desk.wall.now() + LOOK_EVERY_S)
        return None

    def status(self, request: pb.StatusRequest, context: grpc.ServicerContext) -> pb.StatusReply:
        return self._desk.status().to_pb()

    def command(self, request: pb.CommandRequest, context: grpc.ServicerContext) -> pb.CommandReply:
        command = Command.from_pb(request)
        if command is None:
            return Reply(Outcome.REFUSED, "this runner knows no such command; is it of an older version?").to_pb()
        return self._desk.command(command).to_pb()

    def stop(self, request: pb.StopRequest, context: grpc.ServicerContext) -> pb.CommandReply:
        return self._desk.command(Command(request.key, request.person, Stop(request.reason))).to_pb()

    def lease(self, request: pb.LeaseRequest, context: grpc.ServicerContext) -> pb.LeaseReply:
        desk = self._desk
        if request.wish == pb.LeaseRequest.ACQUIRE:
            grant = desk.acquire(request.person, take_over=request.take_over)
        elif request.wish == pb.LeaseRequest.RENEW:
            grant = desk.renew(request.lease)
        elif request.wish == pb.LeaseRequest.RELEASE:
            grant = desk.release(request.lease)
        else:
            grant = Grant(False, sentence="the wish is none; acquire, renew or release the lease")
        return grant.to_pb()


def _frames(piece: Piece) -> pb.Frames:
    return pb.Frames(first_seq=piece.first_seq, count=piece.count, chain=piece.chain, data=piece.data)
