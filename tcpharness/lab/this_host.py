"""The machine that we run on, as a person would check it. Changes nothing."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tcpharness.evidence import HostSettings
from tcpharness.lab import firewall, routes, sysctl
from tcpharness.lab.doctor import find_program
from tcpharness.lab.netlink import RouteSocket
from tcpharness.lab.offload import Offloads
from tcpharness.scenario.setting_words import SETTINGS

NFT_S = 10.0


class Here:
    """The network namespace that we are in, as if it were a host's."""

    def entered(self) -> AbstractContextManager[None]:
        return nullcontext()

    def socket(self, family: int, kind: int, proto: int = 0) -> socket.socket:
        return socket.socket(family, kind, proto)


def examine_host() -> HostSettings:
    """What can't be read is not there, and `notes` says why."""
    found = HostSettings(sysctl=sysctl.effective(SETTINGS))
    lacking = [name for name in SETTINGS if name not in found.sysctl]
    if lacking:
        found.notes.append(f"this kernel lacks {', '.join(lacking)}")
    names = dict(socket.if_nameindex())
    try:
        with RouteSocket(Here()) as netlink:
            found.routes = routes.effective(netlink, names)
    except OSError as error:
        found.notes.append(f"routes can't be read: {error.strerror}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        offloads = Offloads(sock)
        for name in names.values():
            try:
                found.offload[name] = offloads.read(name)
                found.mtu[name] = int(Path(f"/sys/class/net/{name}/mtu").read_text())
            except (OSError, ValueError) as error:
                found.notes.append(f"{name}: {error}")
    _firewall(found)
    return found


def _firewall(found: HostSettings) -> None:
    nft = find_program("nft")
    if nft is None:
        found.notes.append("the firewall can't be listed: nft is not installed (apt-get install nftables)")
        return
    environment = {"PATH": os.defpath, "LC_ALL": "C"}
    done = subprocess.run(
        [nft, "list", "ruleset"], capture_output=True, text=True, timeout=NFT_S, env=environment, check=False
    )
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[0]
        found.notes.append(f"the firewall can't be listed: {reason}")
        return
    found.firewall = firewall.rules(done.stdout)
    if done.stdout.strip() and not found.firewall:
        found.notes.append("the firewall has rules, none of which counts")
