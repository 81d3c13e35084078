"""Many connections together: each rule judges an episode when it is over."""

from __future__ import annotations

from tcpharness.analysis.crowd import SYN_ACK_AGAIN_NS, Episode
from tcpharness.analysis.detector import Hit

MANY_TARGETS = 15  # of one source, that led to nothing
FLOOD_RATE, STORM_RATE = 100, 100  # a second
MANY_FLOWS = 5  # that a storm concerns: one connection in trouble is no storm


def told(episode: Episode, text: str, kind: str = "", **detail: int | str | float) -> Hit:
    return Hit(
        text, kind=kind, count=episode.count, time_ns=episode.first_ns, frame=episode.frame,
        end_ns=episode.last_ns, detail={"peak_per_s": episode.peak, "peers": len(episode.peers), **detail},
    )  # fmt: skip


def port_scan(episode: Episode) -> Hit | None:
    """An episode: one source tries 15 or more ports or hosts, and nearly nothing comes of it.

    why it matters: Somebody looks for open ports. `kind` is how: syn (half-open), connect, fin, null, xmas,
        maimon (FIN and ACK), ack (looks for firewalls).
    what to do: Find out who the source is; a scanner of your own belongs on a list of the known ones.
    limits: Slower than one probe a minute it is not one episode. Behind a NAT several hosts look like one.
        Where no port is open, syn and connect are told apart by the SYN's timestamps alone.
    fires: half-open, refused
        0.000 x20+0.010 10.0.0.1.40000 > 10.0.0.2.{n+1}: S 0:0(0) win 1024 <mss 1460>
        0.001 x20+0.010 10.0.0.2.{n+1} > 10.0.0.1.40000: R. 0:0(0) ack 1 win 0
    fires: FIN, null and Xmas find closed ports by the RST
        0.000 x20+0.010 10.0.0.1.40000 > 10.0.0.2.{n+1}: FPU 0:0(0) win 1024
        0.001 x20+0.010 10.0.0.2.{n+1} > 10.0.0.1.40000: R. 0:0(0) ack 1 win 0
    silent: a client of twenty servers
        0.000 x20+0.010 10.0.0.1.40000 > 10.0.1.{n+1}.80: S 0:0(0) win 1024 <mss 1460>
        0.001 x20+0.010 10.0.1.{n+1}.80 > 10.0.0.1.40000: S. 0:0(0) ack 1 win 1024 <mss 1460>
        0.002 x20+0.010 10.0.0.1.40000 > 10.0.1.{n+1}.80: P. 1:11(10) ack 1
    silent: one service that is down
        0.000 x20+0.010 10.0.0.1.{n+40000} > 10.0.0.2.80: S 0:0(0) win 1024 <mss 1460>
        0.001 x20+0.010 10.0.0.2.80 > 10.0.0.1.{n+40000}: R. 0:0(0) ack 1 win 0
    """
    if not episode.what.startswith("scan ") or len(episode.peers) < MANY_TARGETS:
        return None
    if episode.productive * 10 > episode.count:
        return None
    kind = episode.what[5:]
    if kind == "syn" and not episode.answered and (episode.connected or not episode.plain_syns):
        kind = "connect"
    hosts = len({peer[:3] for peer in episode.peers})
    ports = len({peer[3] for peer in episode.peers})
    opened = episode.answered + episode.connected
    text = f"{kind}: {ports} ports of {hosts} hosts tried, {opened} open"
    return told(episode, text, kind, hosts=hosts, ports=ports, open=opened)


def syn_flood(episode: Episode) -> Hit | None:
    """An episode: 100 or more handshakes a second on one port, and less than a fifth of them completed.

    why it matters: The queue of half-open connections fills up, and real clients are turned away. `kind`:
        unanswered (the queue is full, or a firewall drops), answered, cookies (answered, and nothing sent
        again: the server keeps no state).
    what to do: net.ipv4.tcp_syncookies, a larger tcp_max_syn_backlog and somaxconn; a filter before it.
    limits: Cookies are told by SYN-ACKs that are not sent again, two seconds on; in a shorter capture, or
        where the sources take their SYNs back by a RST before, it is `answered`. The server's counters
        (SyncookiesSent, TCPReqQFullDoCookies) know.
    fires: many sources
        0.000 x200+0.001 10.1.0.{n+1}.40000 > 10.0.0.2.80: S 0:0(0) win 1024 <mss 1460>
    fires: with cookies
        0.000 x200+0.001 10.1.0.{n+1}.40000 > 10.0.0.2.80: S 0:0(0) win 1024 <mss 1460>
        0.001 x200+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: S. 0:0(0) ack 1 win 1024 <mss 1460>
        9.000 end
    silent: many clients
        0.000 x200+0.001 10.1.0.{n+1}.40000 > 10.0.0.2.80: S 0:0(0) win 1024 <mss 1460>
        0.001 x200+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: S. 0:0(0) ack 1 win 1024 <mss 1460>
        0.002 x200+0.001 10.1.0.{n+1}.40000 > 10.0.0.2.80: P. 1:11(10) ack 1
    """
    if episode.what != "flood" or episode.peak < FLOOD_RATE:
        return None
    completed = episode.connected
    if completed * 5 >= episode.count + completed:
        return None
    kind = "unanswered"
    if episode.answered * 2 > episode.count:
        seen_long_enough = episode.until_ns - episode.last_ns >= SYN_ACK_AGAIN_NS
        stayed_open = episode.waited * 2 > episode.answered
        kind = "cookies" if seen_long_enough and stayed_open and not episode.repeated else "answered"
    sources = len({peer[:3] for peer in episode.peers})
    text = (
        f"{episode.count} half-open handshakes from {sources} sources, {episode.peak} in one second; "
        f"{episode.answered} answered, {completed} completed"
    )
    return told(episode, text, kind, sources=sources, answered=episode.answered, completed=completed)


def syn_flood_backscatter(episode: Episode) -> Hit | None:
    """An episode: SYN-ACKs or RSTs from one host to 15 or more that never asked.

    why it matters: Somebody floods that host with forged source addresses, yours among them.
    what to do: Nothing here; the host's owner may want to know.
    limits: A capture that begins in the middle, or sees one direction only, looks alike for a few frames.
    fires: answers nobody asked for
        0.000 x100+0.001 10.9.9.9.80 > 10.0.0.{n+1}.1234: S. 0:0(0) ack 1 win 1024 <mss 1460>
    silent: answers to SYNs
        0.000 x100+0.001 10.0.0.{n+1}.1234 > 10.9.9.9.80: S 0:0(0) win 1024 <mss 1460>
        0.001 x100+0.001 10.9.9.9.80 > 10.0.0.{n+1}.1234: S. 0:0(0) ack 1 win 1024 <mss 1460>
    """
    if episode.what != "backscatter" or len(episode.peers) < MANY_TARGETS:
        return None
    return told(episode, f"{episode.count} answers to {len(episode.peers)} hosts that sent nothing")


def reset_storm(episode: Episode) -> Hit | None:
    """An episode: a host resets 100 or more connections a second, or sends as many RSTs on a few.

    why it matters: A program or a device gives up everything at once: a crash, a failover, an attack.
    what to do: Look at what happened on that host, or on a firewall before it, at that time.
    limits: RSTs that answer a SYN or a probe are not counted: connection_refused and port_scan have them.
    fires: a crash
        0.000 x150+0.001 10.1.0.{n+1}.40000 > 10.0.0.2.80: P. 1:11(10) ack 1
        0.500 x150+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: R. 1:1(0) ack 11 win 0
    silent: a few
        0.000 x50+0.001 10.1.0.{n+1}.40000 > 10.0.0.2.80: P. 1:11(10) ack 1
        0.500 x50+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: R. 1:1(0) ack 11 win 0
    """
    if episode.what != "reset" or episode.peak < STORM_RATE:
        return None
    return told(
        episode, f"{episode.count} RSTs on {len(episode.peers)} connections, {episode.peak} in one second"
    )


def retransmission_storm(episode: Episode) -> Hit | None:
    """An episode: a host sends 100 or more segments again in a second, on five connections or more.

    why it matters: Hardly anything gets through: an outage or a collapse, not the loss of a packet.
    what to do: Look at the path of that host at that time: a link that is down, a queue that is full.
    limits: Counted are repeats by the timer, and those of connections that mostly repeat; repairs within a
        busy stream are not.
    fires: an outage
        0.000 x150+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: P. 1:11(10) ack 1
        0.200 x150+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: P. 1:11(10) ack 1
    silent: a few
        0.000 x50+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: P. 1:11(10) ack 1
        0.200 x50+0.001 10.0.0.2.80 > 10.1.0.{n+1}.40000: P. 1:11(10) ack 1
    """
    if episode.what != "resent" or episode.peak < STORM_RATE or len(episode.peers) < MANY_FLOWS:
        return None
    many = f"{episode.count} segments sent again on {len(episode.peers)} connections"
    return told(episode, f"{many}, {episode.peak} in one second")
