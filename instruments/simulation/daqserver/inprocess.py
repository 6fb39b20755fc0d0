"""The device server without a network: a gRPC channel whose calls are answered in the caller's own thread.

The same messages go through the same handlers as over a port, serialised and parsed on both sides; what is left out is
HTTP/2 between two ends of one process, which costs more than everything else of a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import grpc

from instruments.simulation.daqserver.dispatch import Dispatcher
from instruments.simulation.daqserver.events import NAMES, Registration


class CallError(grpc.RpcError):  # type: ignore[misc]  # grpc has no types
    """A call that was not answered, as a gRPC client sees it."""

    def __init__(self, code: Any, details: str, trailing: tuple[tuple[str, str], ...]) -> None:
        super().__init__(details)
        self._code = code
        self._details = details
        self._trailing = trailing

    def code(self) -> Any:
        """Status code."""
        return self._code

    def details(self) -> str:
        """Text of the status."""
        return self._details

    def trailing_metadata(self) -> tuple[_Entry, ...]:
        """What came with the status."""
        return tuple(_Entry(key, value) for key, value in self._trailing)


class _Entry:
    """One pair of metadata."""

    __slots__ = ("key", "value")

    def __init__(self, key: str, value: str) -> None:
        self.key = key
        self.value = value


class _Context:
    """What a handler may do with a call beside answering it."""

    __slots__ = ("_trailing",)

    def __init__(self) -> None:
        self._trailing: tuple[tuple[str, str], ...] = ()

    def set_trailing_metadata(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._trailing = pairs

    def abort(self, code: Any, details: str) -> NoReturn:
        raise CallError(code, details, self._trailing)

    def is_active(self) -> bool:
        return True


class _Stream:
    """Replies to a call that registers for events."""

    def __init__(self, dispatcher: Dispatcher, registration: Registration, deserialize: Callable[[bytes], Any]) -> None:
        self._replies = dispatcher.replies(registration)
        self._registration = registration
        self._deserialize = deserialize

    def initial_metadata(self) -> tuple[()]:
        """It is registered already."""
        return ()

    def done(self) -> bool:
        """Whether no more replies come."""
        return self._registration.ended

    def exception(self) -> None:
        """What is wrong was raised by the call."""

    def cancel(self) -> None:
        """End it."""
        self._registration.end()

    def __iter__(self) -> Iterator[Any]:
        return map(self._deserialize, self._replies)


class InProcessChannel(grpc.Channel):  # type: ignore[misc]  # grpc has no types
    """Connects a client in this process with a server's dispatcher; closing it is not needed."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_: Any,
    ) -> Callable[..., Any]:
        """Prepare a call; deadline and metadata mean nothing here."""
        name, answer = method.rpartition("/")[2], self._dispatcher.answer

        def call(request: Any, timeout: float | None = None, metadata: object = None) -> Any:
            return response_deserializer(answer(name, request_serializer(request), _Context()))

        return call

    def unary_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes],
        response_deserializer: Callable[[bytes], Any],
        **_: Any,
    ) -> Callable[..., Any]:
        """Prepare a call that registers for events."""
        name, dispatcher = method.rpartition("/")[2], self._dispatcher
        if name not in NAMES:
            return _refuse

        def call(request: Any, timeout: float | None = None, metadata: object = None) -> _Stream:
            registration = dispatcher.register(name, request_serializer(request), _Context())
            return _Stream(dispatcher, registration, response_deserializer)

        return call

    def stream_unary(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """NI's service has no such calls that are simulated."""
        return _refuse

    stream_stream = stream_unary

    def subscribe(self, callback: Callable[[Any], object], try_to_connect: bool = False) -> None:
        """It is always ready."""
        callback(grpc.ChannelConnectivity.READY)

    def unsubscribe(self, callback: Callable[[Any], object]) -> None:
        """Nothing changes any more."""

    def close(self) -> None:
        """Nothing to close."""

    def __enter__(self) -> InProcessChannel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise CallError(grpc.StatusCode.UNIMPLEMENTED, "streams are not simulated", ())
