"""Both ends of gRPC for the services of ``runner.proto``, made from their descriptors."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from bench.rpc import runner_pb2 as pb

TOKEN_KEY = "pumpbench-token"

KEEPALIVE_S = 20
"""A line on which nothing is heard for so long is asked, and given up when no answer comes in the same time again."""

OPTIONS = (
    ("grpc.max_send_message_length", -1),  # one frame of the journal may be long
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_time_ms", KEEPALIVE_S * 1000),
    ("grpc.keepalive_timeout_ms", KEEPALIVE_S * 1000),
    ("grpc.http2.max_pings_without_data", 0),
)
SERVER_OPTIONS = (
    *OPTIONS,
    ("grpc.so_reuseport", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_S * 500),
)
CLIENT_OPTIONS = (
    *OPTIONS,
    ("grpc.enable_http_proxy", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


def handlers(service: str, calls: Mapping[str, Callable[[Any, grpc.ServicerContext], Any]]) -> Any:
    """What a server answers for a service; ``calls`` has a function for each of its methods."""
    described = pb.DESCRIPTOR.services_by_name[service]
    made = {}
    for method in described.methods:
        kind = grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        made[method.name] = kind(
            calls[method.name],
            request_deserializer=GetMessageClass(method.input_type).FromString,
            response_serializer=GetMessageClass(method.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(described.full_name, made)


def stubs(channel: grpc.Channel, service: str) -> dict[str, Any]:
    """What a client calls, by the name of the method."""
    described = pb.DESCRIPTOR.services_by_name[service]
    return {
        method.name: (channel.unary_stream if method.server_streaming else channel.unary_unary)(
            f"/{described.full_name}/{method.name}",
            request_serializer=GetMessageClass(method.input_type).SerializeToString,
            response_deserializer=GetMessageClass(method.output_type).FromString,
        )
        for method in described.methods
    }


class TokenCheck(grpc.ServerInterceptor):  # type: ignore[misc]  # grpc has no types
    """Refuses every call that does not show the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def intercept_service(self, continuation: Callable[[Any], Any], details: Any) -> Any:
        """Let a call through, or answer it with UNAUTHENTICATED."""
        shown = dict(details.invocation_metadata).get(TOKEN_KEY, "")
        handler = continuation(details)
        if handler is None or hmac.compare_digest(str(shown).encode(), self._token):
            return handler

        def refuse(request: Any, context: grpc.ServicerContext) -> Any:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is not this runner's; read it from its state")

        kind = (
            grpc.unary_stream_rpc_method_handler if handler.response_streaming else grpc.unary_unary_rpc_method_handler
        )
        return kind(refuse, handler.request_deserializer, handler.response_serializer)
