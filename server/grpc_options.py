"""The channel options of the server and their reasons; gRPC ignores unknown names silently, so tests try them out."""

from __future__ import annotations

MAX_METADATA_BYTES = 16 << 10

ServerOptions = tuple[tuple[str, int], ...]


def server_options(max_message_bytes: int) -> ServerOptions:
    """Options for `grpc.aio.server`."""
    return (
        # A second server on the same port fails loudly instead of taking half of the connections.
        ("grpc.so_reuseport", 0),
        # Per connection, and not announced to clients unless set.
        ("grpc.max_concurrent_streams", 1024),
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        # Soft and hard limit are equal: between the two, requests are refused at random.
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        # Connections that never speak are gone in about 4 s.
        ("grpc.server_handshake_timeout_ms", 5_000),
        # A dead or frozen peer is noticed after 14 s; without ping_timeout it takes minutes.
        ("grpc.keepalive_time_ms", 10_000),
        ("grpc.keepalive_timeout_ms", 4_000),
        ("grpc.http2.ping_timeout_ms", 4_000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        # How often a client may ping. The similar name with "recv" does nothing, and such a client is cut off.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.max_connection_idle_ms", 300_000),
        # Streams end themselves with a cursor before this; the grace is for those that have just begun.
        ("grpc.max_connection_age_ms", 1_800_000),
        ("grpc.max_connection_age_grace_ms", 120_000),
    )
