"""TCP_INFO decoded: pinned by hand-packed structs, and read from a real socket."""

from __future__ import annotations

import socket
import struct

from tcpharness.lab import tcp_info


def test_offsets_are_the_headers() -> None:
    data = bytearray(280)
    # offsetof() from <linux/tcp.h>
    for offset, code, value in [
        (0, "B", 1), (6, "B", 0x7A), (7, "B", 0b101), (8, "I", 204_000), (24, "I", 5), (100, "I", 17),
        (120, "Q", 1 << 40), (144, "I", 4321), (168, "Q", 99), (200, "Q", 77), (224, "I", 65_535),
        (228, "I", 66_000), (240, "H", 3), (244, "I", 800),
    ]:  # fmt: skip
        struct.pack_into("=" + code, data, offset, value)
    info = tcp_info.decode(bytes(data))
    assert (info["state"], info["snd_wscale"], info["rcv_wscale"]) == (1, 0xA, 0x7)
    assert (info["delivery_rate_app_limited"], info["fastopen_client_fail"]) == (1, 2)
    assert (info["rto"], info["unacked"], info["total_retrans"]) == (204_000, 5, 17)
    assert (info["bytes_acked"], info["notsent_bytes"], info["busy_time"]) == (1 << 40, 4321, 99)
    assert (info["bytes_sent"], info["rcv_ooopack"], info["snd_wnd"]) == (77, 65_535, 66_000)
    assert (info["total_rto"], info["total_rto_time"]) == (3, 800)


def test_an_older_kernel_gives_fewer_fields() -> None:
    info = tcp_info.decode(bytes(104))
    assert "total_retrans" in info
    assert "pacing_rate" not in info
    assert tcp_info.decode(b"\x0a") == {"state": 10}
    assert tcp_info.decode(b"") == {}


def test_a_real_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        client.send(b"hello")
        info = tcp_info.read(client)
        client.close()
    assert info["state"] == 1
    assert info["bytes_sent"] == 5
    assert tcp_info.read(client) == {}
