"""From a gRPC call to its handler and back: names by the descriptor, errors as NI's server sends them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc

from instruments.simulation.daqserver import attributes, events, messages
from instruments.simulation.daqserver.faults import DaqFault, SessionFault
from instruments.simulation.daqserver.misbehaviour import Misbehaviour
from instruments.simulation.daqserver.system import System


class Call:
    """One request with its reply to be filled.

    ``body`` is sent instead of the reply where a handler has serialised it itself.
    """

    __slots__ = ("body", "context", "reply", "request", "trailing")

    def __init__(self, request: messages.Message, reply: messages.Message, context: Any) -> None:
        self.request = request
        self.reply = reply
        self.context = context
        self.body: bytes | None = None
        self.trailing: tuple[tuple[str, str], ...] = ()


STREAMS = 48
"""Registrations for events at a time: each holds one of the server's threads."""

Handler = Callable[[System, Call], None]


class Dispatcher(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Serves the service's methods for which there is a handler; counts every call, the unknown ones apart."""

    def __init__(self, system: System, handlers: Mapping[str, Handler]) -> None:
        self._system = system
        self._handlers = handlers
        self._made: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()
        self.misbehaviour: Misbehaviour | None = None
        self.streams = 0  # registrations that are open

    def service(self, handler_call_details: Any) -> Any:
        """Find the method of a call; gRPC answers UNIMPLEMENTED when there is none."""
        path: str = handler_call_details.method
        made = self._made.get(path)
        if made is None:
            service, _, name = path.lstrip("/").rpartition("/")
            if service != messages.SERVICE:
                return None
            if name in events.NAMES:
                made = grpc.unary_stream_rpc_method_handler(partial(self._stream, name))
            else:
                made = grpc.unary_unary_rpc_method_handler(partial(self.answer, name))
            self._made[path] = made
        return made

    def answer(self, name: str, data: bytes, context: Any) -> bytes:
        """Serve one call: a serialised request in, a serialised reply out; errors leave through the context."""
        method, handler = messages.method(name), self._handlers.get(name)
        if method is None or (handler is None and not method.action):
            self._system.miss(name, "UNIMPLEMENTED")
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{name} is not simulated")
            raise AssertionError("abort raises")
        self.calls[method.name] += 1
        call = Call(method.request.FromString(data), method.reply(), context)
        with self._serving(call):
            if handler is not None:
                handler(self._system, call)
            else:
                attributes.answer(self._system, method, call.request, call.reply)
        if call.trailing:
            context.set_trailing_metadata(call.trailing)
        return call.body if call.body is not None else call.reply.SerializeToString()

    def register(self, name: str, data: bytes, context: Any) -> events.Registration:
        """Serve a call that registers for events; errors leave through the context."""
        method = messages.method(name)
        assert method is not None
        self.calls[name] += 1
        call = Call(method.request.FromString(data), method.reply(), context)
        with self._serving(call):
            if self.streams >= STREAMS:
                raise SessionFault("RESOURCE_EXHAUSTED", f"{STREAMS} events are registered already")
            task = self._system.task(call.request.task.name)
            made = events.register(task, name, call.request, call.reply)
            self.streams += 1
        return made

    def replies(self, registration: events.Registration) -> Iterator[bytes]:
        """What a registration is told, until it ends."""
        try:
            yield from registration.replies()
        finally:
            with self._system.lock:
                self.streams -= 1

    def _stream(self, name: str, data: bytes, context: Any) -> Iterator[bytes]:
        registration = self.register(name, data, context)
        if not context.add_callback(registration.end):
            registration.end()  # the client has gone already
        context.send_initial_metadata(())  # the client waits for it
        yield from self.replies(registration)

    @contextmanager
    def _serving(self, call: Call) -> Iterator[None]:
        """The lock of the system around a call, what strikes it first, and errors as NI's server sends them."""
        try:
            with self._system.lock:
                self._system.catch_up()
                if self.misbehaviour is not None:
                    self.misbehaviour.begin(self._system, call.request)
                yield
        except DaqFault as fault:
            call.context.set_trailing_metadata(_trailing(fault))
            call.context.abort(grpc.StatusCode.UNKNOWN, str(fault))
        except SessionFault as fault:
            call.context.abort(getattr(grpc.StatusCode, fault.status), str(fault))


def _trailing(fault: DaqFault) -> tuple[tuple[str, str], ...]:
    pairs = [("ni-error", str(fault.code))]
    if fault.read is not None:
        pairs.append(("ni-samps-per-chan-read", str(fault.read)))
    if fault.written is not None:
        pairs.append(("ni-samps-per-chan-written", str(fault.written)))
    return tuple(pairs)
