"""The client of a runner: follows a run without a gap, controls it, stops it.

Used by one thread at a time.  What goes wrong is a `ClientError` with one sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import grpc

from bench.rpc import runner_pb2 as pb
from bench.rpc.doors import Doors
from bench.rpc.messages import Action, Command, Ending, Grant, Reply, Status
from bench.rpc.tail import JournalTail, Piece
from bench.rpc.wire import CLIENT_OPTIONS, TOKEN_KEY, stubs
from bench.run_queue import Entry, RunState
from data.frames import BrokenFrameError, Content, Frame, FrameChain, JournalError, frame_bytes
from instruments.clock import WallClock

ANSWER_S = 15.0
"""A call that is not answered after this has failed; a runner waits for the engine less long than that."""

AGAIN_S = 0.2
"""Between two tries to reach a runner."""

FINAL = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.UNIMPLEMENTED,
}
"""Trying again does not help."""


class ClientError(ValueError):
    """A runner cannot be reached, or refuses; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Followed:
    """One frame of the journal, checked, and what it says."""

    frame: Frame
    content: Content


def checked(chain: FrameChain, piece: Piece) -> Iterator[Followed]:
    """The frames of a piece; raises JournalError for a gap, or for a frame that does not continue the last."""
    data, at = memoryview(piece.data), 0
    while at < len(data):
        try:
            size = frame_bytes(data, at)
            frame = chain.take(data[at : at + size], -1)
        except BrokenFrameError:
            raise JournalError(
                f"frame {chain.next_seq} of the run came damaged or out of order; follow it anew"
            ) from None
        at += size
        yield Followed(frame, chain.decode(frame))


class Client:
    """Talks to the runner of one run.

    Parameters
    ----------
    doors : where the runner is.
    entry : the run in this computer's state folder, if it is one of those: then what a runner that is gone has left
        can be read.  Without it the runner is far away, and gone when it does not answer.
    patience_s : how long a runner that is far away may be silent.
    answer_s : how long any other call may take.
    """

    def __init__(
        self, doors: Doors, entry: Entry | None = None, *, patience_s: float = 30.0, answer_s: float = ANSWER_S
    ) -> None:
        self._entry = entry
        self._patience_s = patience_s
        self._answer_s = answer_s
        self._wall = WallClock()
        self._metadata = ((TOKEN_KEY, doors.token),) if doors.token else ()
        self._channel = grpc.insecure_channel(doors.main, CLIENT_OPTIONS)
        self._stop_channel = grpc.insecure_channel(doors.stop, CLIENT_OPTIONS)
        self._runner = stubs(self._channel, "Runner")
        self._stop = stubs(self._stop_channel, "Stop")

    @classmethod
    def of(cls, entry: Entry, *, answer_s: float = ANSWER_S) -> Self:
        """Client of a run of this computer; raises ClientError when no runner has it."""
        doors = entry.state().doors
        if doors is None:
            raise ClientError(f"run {entry.number} has no runner; see: pumpbench runner list")
        return cls(doors, entry, answer_s=answer_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the runner, which goes on."""
        self._channel.close()
        self._stop_channel.close()

    # -- watching

    def status(self) -> Status:
        """What goes on just now."""
        return Status.from_pb(self._call(self._runner["Status"], pb.StatusRequest()))

    def follow(self) -> Iterator[Followed | Ending]:
        """Every frame from the first on, then as they come; the last message says how the run ended.

        Raises
        ------
        ClientError
            Too many follow, or a runner far away does not answer.
        JournalError
            A frame does not continue the one before it.
        """
        chain = FrameChain()
        for message in self.pieces():
            if isinstance(message, Ending):
                yield message
            else:
                yield from checked(chain, message)

    def pieces(self, from_seq: int = 0) -> Iterator[Piece | Ending]:
        """The same as bytes, from a sequence number on; whoever lost the line goes on where it was."""
        next_seq, silent_since = from_seq, self._wall.now()
        while True:
            try:
                for said in self._runner["Follow"](pb.FollowRequest(from_seq=next_seq), metadata=self._metadata):
                    if said.HasField("ending"):
                        yield Ending.from_pb(said.ending)
                        return
                    frames = said.frames
                    yield Piece(frames.first_seq, frames.count, frames.chain, frames.data)
                    next_seq, silent_since = frames.first_seq + frames.count, self._wall.now()
            except grpc.RpcError as error:
                if error.code() in FINAL:
                    raise ClientError(error.details()) from None
            left = self._left_behind()
            if left is not None:
                yield from self._rest(left, next_seq)
                return
            if self._entry is None and self._wall.now() - silent_since > self._patience_s:
                raise ClientError(f"the runner has not answered for {self._patience_s:g} s; the run goes on if it can")
            self._wall.sleep(AGAIN_S)

    def _left_behind(self) -> RunState | None:
        """What a runner that is gone has told on disk."""
        state = None if self._entry is None else self._entry.state()
        return state if state is not None and state.ending is not None else None

    def _rest(self, state: RunState, next_seq: int) -> Iterator[Piece | Ending]:
        """What the journal has that no runner sent, and the end."""
        if state.journal and Path(state.journal).exists():
            with JournalTail(Path(state.journal), next_seq) as tail:
                yield from iter(tail.take, None)
        assert state.ending is not None
        yield state.ending

    # -- controlling

    def command(self, person: str, action: Action, lease: str = "", key: str = "") -> Reply:
        """Do something to the run; with the same key again it is done once, however often the line breaks."""
        command = Command(key or str(uuid4()), person, action, lease)
        return Reply.from_pb(self._call(self._runner["Command"], command.to_pb()))

    def stop(self, person: str, reason: str, key: str = "") -> Reply:
        """Stop the run in order, on a line of its own; needs no lease."""
        request = pb.StopRequest(key=key or str(uuid4()), person=person, reason=reason)
        return Reply.from_pb(self._call(self._stop["Stop"], request))

    def acquire(self, person: str, *, take_over: bool = False) -> Grant:
        """Ask for the control of the run."""
        return self._lease(pb.LeaseRequest(wish=pb.LeaseRequest.ACQUIRE, person=person, take_over=take_over))

    def renew(self, lease: str) -> Grant:
        """Keep the control; to be done well within `bench.rpc.lease.EXPIRES_S`."""
        return self._lease(pb.LeaseRequest(wish=pb.LeaseRequest.RENEW, lease=lease))

    def release(self, lease: str) -> Grant:
        """Give the control back."""
        return self._lease(pb.LeaseRequest(wish=pb.LeaseRequest.RELEASE, lease=lease))

    @contextmanager
    def control(self, person: str, *, take_over: bool = False) -> Iterator[str]:
        """Have the lease for a moment; raises ClientError when somebody else has it."""
        grant = self.acquire(person, take_over=take_over)
        if not grant.granted:
            raise ClientError(grant.sentence)
        try:
            yield grant.lease
        finally:
            with suppress(ClientError):  # the run may have ended with it
                self.release(grant.lease)

    def _lease(self, request: pb.LeaseRequest) -> Grant:
        return Grant.from_pb(self._call(self._runner["Lease"], request))

    def _call(self, call: Any, request: Any) -> Any:
        try:
            return call(request, timeout=self._answer_s, metadata=self._metadata)
        except grpc.RpcError as error:
            if error.code() in FINAL:
                raise ClientError(error.details()) from None
            raise ClientError("the runner does not answer; see: pumpbench runner list") from None
