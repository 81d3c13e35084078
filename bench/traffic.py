"""Captures to measure with: real kernel traffic of many connections with loss, and made ones of very many.

python bench/traffic.py FOLDER [--packets 1000000] [--flows 300000]

full.pcap   about that many packets between two namespaces, several dozen connections at a time, each
            hundredth packet dropped by nftables before the receiver; whole frames
snap.pcap   the same, cut to 96 bytes
small.pcap  its first 500 packets
flows.pcap  that many short connections (eight packets each), encoded here
What is in the folder already stays.
"""

from __future__ import annotations

import argparse
import random
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from struct import pack, unpack

from tcpharness.lab.build import Lab
from tcpharness.lab.door import enter
from tcpharness.lab.netns import NetNs
from tcpharness.lab.spawner import Spawner
from tcpharness.packet.checksum import fold, ones_complement_sum
from tcpharness.packet.encode import Frame, encode
from tcpharness.packet.notation import options_bytes
from tcpharness.packet.segment import ACK, FIN, PSH, SYN
from tcpharness.scenario.load import load
from tcpharness.scenario.plan import make_plan

SCENARIO = """
scenario: traffic
hosts: [client, server]
links: [[client, server]]
endpoints: {server: {on: server, listen: 105}}
expect: {counters: {client: {TcpInSegs: "0.."}}}
"""
LOSS = (
    "add table inet loss\n"
    "add chain inet loss in { type filter hook input priority 0; }\n"
    "add rule inet loss in numgen inc mod 100 == 0 drop\n"
)
PORT, SIDE_BY_SIDE, MEAN_BYTES = 105, 32, 450_000
MOST_DROPPED = 10_000  # one packet in so many may be missing, as in any capture of a busy machine
DATA_PER_PACKET = 1040  # bytes of payload for each packet of a capture, ACKs included


def traffic(file: Path, packets: int) -> None:
    """Real connections between two namespaces; tcpdump at the sender ends by its own count."""
    enter()
    plan = make_plan(load(SCENARIO, "traffic.yaml")[0], 1)
    with (
        Spawner.start() as spawner,
        tempfile.TemporaryDirectory() as folder,
        Lab(plan, spawner, Path(folder)) as lab,
    ):
        client, server = lab.hosts["client"], lab.hosts["server"]
        with server.entered():
            subprocess.run(["nft", "-f", "-"], input=LOSS, text=True, check=True)
        address = next(end.address for end in plan.links[0].ends if end.host == "server")
        listener = server.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((address, PORT))
        listener.listen(512)
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with client.entered():
            capture = subprocess.Popen(
                ["tcpdump", "-i", "eth0", "-Z", "root", "-B", "262144", "-s", "0", "-c", str(packets), "-w",
                 str(file), "tcp"],
                stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
        assert capture.stderr is not None
        capture.stderr.readline()  # it listens
        send_all(client, (address, PORT), packets * DATA_PER_PACKET, capture)
        said = capture.communicate(timeout=60)[1]
        listener.close()
    dropped = int(said.split(" packet")[-2].split()[-1]) if "dropped by kernel" in said else 0
    assert dropped * MOST_DROPPED <= packets, said


def serve(listener: socket.socket) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=drain, args=(connection,), daemon=True).start()


def drain(connection: socket.socket) -> None:
    with connection:
        while connection.recv(65536):
            pass
        connection.sendall(b"x" * 200)


def send_all(namespace: NetNs, to: tuple[str, int], amount: int, capture: subprocess.Popen[str]) -> None:
    """Connections of random sizes, a few dozen at a time, until tcpdump has enough."""
    rng = random.Random(1)
    lock = threading.Lock()

    def work() -> None:
        while capture.poll() is None:
            with lock:
                size = rng.randrange(MEAN_BYTES // 2, MEAN_BYTES * 3 // 2)
            with namespace.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.connect(to)
                sock.sendall(b"y" * size)
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(4096):
                    pass

    workers = [threading.Thread(target=work) for _ in range(SIDE_BY_SIDE)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def cut(source: Path, target: Path, snaplen: int, most: int | None = None) -> None:
    """The same records, each to `snaplen` bytes; the first `most` of them."""
    with source.open("rb") as reading, target.open("wb") as writing:
        header = reading.read(24)
        writing.write(header[:16] + pack("<I", snaplen) + header[20:])
        done = 0
        while (record := reading.read(16)) and (most is None or done < most):
            seconds, fraction, cap_len, wire_len = unpack("<IIII", record)
            data = reading.read(cap_len)[:snaplen]
            writing.write(pack("<IIII", seconds, fraction, len(data), wire_len) + data)
            done += 1


SYN_OPTIONS = options_bytes("mss 1460,nop,nop,sackOK,nop,wscale 7")
SHORT = (  # from the client?, flags, seq, ack, payload
    (True, SYN, 0, 0, 0), (False, SYN | ACK, 0, 1, 0), (True, ACK, 1, 1, 0), (True, PSH | ACK, 1, 1, 100),
    (False, PSH | ACK, 1, 101, 300), (True, FIN | ACK, 101, 301, 0), (False, FIN | ACK, 301, 102, 0),
    (True, ACK, 102, 302, 0),
)  # fmt: skip


def many_flows(file: Path, count: int) -> None:
    """Short connections, fifty of which overlap; the client's address changes, and the sums with it."""
    frames = [
        bytearray(encode(Frame(
            "10.0.0.0" if first else "10.200.0.1", "10.200.0.1" if first else "10.0.0.0",
            *((40000, 80) if first else (80, 40000)), seq, ack, flags, 65000,
            options=SYN_OPTIONS if flags & SYN else b"", payload=b"z" * length,
        )))
        for first, flags, seq, ack, length in SHORT
    ]  # fmt: skip
    sums = [
        (0xFFFF - int.from_bytes(f[24:26], "big"), 0xFFFF - int.from_bytes(f[50:52], "big")) for f in frames
    ]
    with file.open("wb") as writing:
        writing.write(pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1))
        for start in range(0, count, 50):
            for step, (frame, (ip_sum, tcp_sum)) in enumerate(zip(frames, sums, strict=True)):
                at = 26 if SHORT[step][0] else 30
                for flow in range(start, min(start + 50, count)):
                    address = pack("!I", 0x0A000000 + flow + 1)
                    more = ones_complement_sum(address) - ones_complement_sum(b"\x0a\0\0\0")
                    frame[at : at + 4] = address
                    frame[24:26] = pack("!H", 0xFFFF - fold(ip_sum + more + 0xFFFF))
                    frame[50:52] = pack("!H", 0xFFFF - fold(tcp_sum + more + 0xFFFF))
                    moment = flow // 50 * 8 + step
                    writing.write(
                        pack(
                            "<IIII",
                            1_700_000_000 + moment // 1000,
                            moment % 1000 * 1000,
                            len(frame),
                            len(frame),
                        )
                        + frame
                    )


def make(folder: Path, packets: int, flows: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "full.pcap").exists():
        traffic(folder / "begun.pcap", packets)
        (folder / "begun.pcap").rename(folder / "full.pcap")
    if not (folder / "snap.pcap").exists():
        cut(folder / "full.pcap", folder / "snap.pcap", 96)
    if not (folder / "small.pcap").exists():
        cut(folder / "full.pcap", folder / "small.pcap", 262144, 500)
    if flows and not (folder / "flows.pcap").exists():
        many_flows(folder / "flows.pcap", flows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--flows", type=int, default=300_000)
    options = parser.parse_args()
    started = time.monotonic()
    make(options.folder, options.packets, options.flows)
    print(f"made in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
