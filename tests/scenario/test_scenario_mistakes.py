"""Every kind of mistake and the line a person reads about it: one golden file."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tcpharness.scenario.load import ScenarioErrors, load

FINDINGS = {
    "retransmission": ("rto", "fast", "tlp"),
    "duplicate_ack": (),
    "reset": (),
    "zero_window": (),
    "gap": (),
}

HEAD = "scenario: A\nhosts: [client, server]\nlinks: [[client, server]]\n"
ENDPOINTS = """endpoints:
  server: {on: server, listen: 105}
  client: {on: client, connect: server, do: [send: 1 KiB, close]}
"""
EXPECT = "expect: {findings: {client: {}}}\n"


def lab(text: str = "", *, endpoints: str = ENDPOINTS, expect: str = EXPECT) -> str:
    return HEAD + endpoints + text + expect


BROKEN: dict[str, str | bytes] = {
    # --- events
    "events": lab(
        "faults:\n"
        + "".join(
            f"  - {{when: {{{when}}}, do: {do}}}\n"
            for when, do in (
                ("time: 1s", "{down: elsewhere}"),
                ("time: 1s", "{up: 5}"),
                ("endpoint: nobody, done: true", "down"),
                ("endpoint: client", "down"),
                ("blocked: true", "down"),
                ("after: nothing", "up"),
                ("endpoint: client, done: true, blocked: true", "down"),
                ("from: client, wait: 1s", "down"),
                ("wait: 1s", "drop"),
                ("time: soon", "down"),
                ("time: 1s", "{firewall: {on: server}}"),
                ("time: 1s", "{firewall: {on: nowhere, open: 80}}"),
                ("time: 1s", "{firewall: {on: server, open: 80, closed: 80}}"),
                ("time: 1s", "{route: {on: client, to: nowhere}}"),
                ("time: 1s", "{route: {on: client, to: server, unreachable: on, mtu: 500}}"),
                ("time: 1s", "{route: {on: client, to: server, via: client}}"),
                ("time: 1s", "{sysctl: {client: {kernel.hostname: x}}}"),
                ("time: 1s", "{sysctl: {client: {}}}"),
                ("time: 1s", "{sysctl: {nobody: {net.ipv4.tcp_sack: 0}}}"),
                ("time: 1s", "{address: {on: client, interface: eth1}}"),
                ("time: 1s", "{address: {on: nobody}}"),
                ("time: 1s", "{capture: nowhere}"),
                ("time: 1s", "{stop: client}"),
                ("time: 1s", "{continue: x}"),
            )
        )
    ),
    "cuts": lab(
        "faults:\n"
        + "".join(
            f"  - {{when: {{from: client, data: 1}}, do: {do}}}\n"
            for do in (
                "{split: 0}",
                "{split: {overlap: 3}}",
                "{fragment: 20}",
                "{fragment: {at: 4}}",
                "split",
            )
        )
    ),
    "events that wait for each other": lab(
        "faults:\n"
        "  - {name: a, when: {after: c}, do: down}\n"
        "  - {name: b, when: {after: a}, do: up}\n"
        "  - {name: c, when: {from: client, after: b}, do: drop}\n"
        "  - {name: d, when: {after: c}, do: down}\n"
        "  - {name: e, when: {after: e}, do: down}\n"
    ),
    "states that never come": lab(
        "faults:\n"
        + "".join(
            f"  - {{when: {{endpoint: {who}, {state}: true}}, do: down}}\n"
            for who, state in (
                ("client", "listening"),
                ("web", "established"),
                ("job", "listening"),
                ("peer", "blocked"),
                ("peer", "listening"),
            )
        ),
        endpoints=ENDPOINTS.replace("send: 1 KiB", "pause: {until: job blocked}, send: 1 KiB")
        + "  web: {on: server, run: httpd, ready: 80}\n  job: {on: client, run: nc}\n"
        + "  peer: {on: client, connect: server, script: [send: S]}\n",
    ),
    "events without links": "scenario: A\nhosts: [a]\nfaults: [{when: {time: 1s}, do: down}]\n"
    + "expect: {findings: {a: {}}}\n",
    # --- impairments
    "impairments": "scenario: A\nhosts: [a, b]\nlinks:\n"
    + "".join(
        f"  - {{join: [a, b], name: l{number}, {wrong}}}\n"
        for number, wrong in enumerate(
            (
                "rate: 0",
                "rate: 0mbit",
                "rate: -1mbit",
                "loss: 101%",
                "loss: -1%",
                "loss: 1",
                "loss: 0.5",
                "jitter: 1ms",
                "delay: 1ms, jitter: {by: 2ms}",
                "jitter: {shape: normal}",
                "queue: 5 packets",
                "rate: 1mbit, queue: 0 packets",
                "rate: 1mbit, queue: 5",
                "loss: {enter: 1%}",
                "loss: {enter: 1%, leave: 0%}",
                "reorder: {chance: 1%, by: 0}",
                "duplicate: often",
                "from: {c: {loss: 1%}}",
                "from: {a: {mtu: 100}}",
                "from: {b: {queue: 1 packet}}",
                "delay: -1ms",
                "corrupt: 1 %, from: {b: {corrupt: 100.1 %}}",
                "rate: 1mbit, queue: 1513 B",
                "mtu: 9000, rate: 1mbit, from: {a: {queue: 4 KiB}}",
            )
        )
    )
    + "expect: {impairments: {a: {losses: 1, loss: x}, c: {loss: 1}}}\n",
    # --- the file
    "an empty file": "",
    "a list": "- a\n- b\n",
    "not UTF-8": b"scenario: caf\xe9\n",
    "a control character": "scenario: a\x07\n",
    "a tab": "scenario: A\nhosts:\n\tclient:\n",
    "YAML that is none": "scenario: [a, b\nhosts: c\n",
    "an open matrix value": "scenario: A\nhosts: [a]\nexpect: {counters: {a: {TcpInErrs: ${n}}}}\n",
    "two documents": lab() + "---\nscenario: B\n",
    "a tag": "scenario: !!python/object/apply:os.system [ls]\n" + HEAD[12:],
    "a duplicate key": lab("seed: 1\nseed: 2\n"),
    "an alias of itself": "scenario: A\nhosts: &h [*h]\n",
    "a bomb": "a: &a [x,x,x,x,x,x,x,x,x]\n"
    + "".join(
        f"{y}: &{y} [{','.join(['*' + x] * 9)}]\n" for x, y in zip("abcdefgh", "bcdefghi", strict=True)
    ),
    "a deep nest": "a: " + "[" * 100,
    "over 1 MiB": "#" * (1 << 20) + "\n",
    # --- the top
    "nothing but a title": "scenario: A\n",
    "unknown keys": lab("Tags: [a]\nendpoint: {}\n"),
    "a title that is a number": "scenario: 12\nhosts: [client]\nexpect: {findings: {client: {}}}\n",
    "nothing is expected": lab(expect="expect: {}\n"),
    "values of the wrong kind": lab("timeout: 50\nseed: many\ntags: {a: b}\ntiming: fast\nabout: true\n"),
    "requirements": lab("requires: {program: nc, root: maybe}\n"),
    # --- the matrix
    "ip that is none": lab("ip: [4, 5]\n"),
    "an unused matrix name": lab("matrix: {size: [1, 2]}\n"),
    "an unknown matrix name": lab("matrix: {size: [1, 2]}\nabout: ${siez} ${size}\n"),
    "matrix values": lab("matrix: {a: [], b: [[1]], c: [1, 1], 1d: [x]}\n"),
    "too many cases": lab(f"matrix: {{a: {list(range(100))}, b: {list(range(100))}}}\n"),
    "a mistake of one case": lab("matrix: {n: [1 KiB, 2 KB]}\n").replace("send: 1 KiB", 'send: "${n}"'),
    # --- hosts and links
    "no host": "scenario: A\nhosts: []\nexpect: {findings: {any: {}}}\n",
    "a mapping of no host": "scenario: A\nhosts: {}\nexpect: {findings: {any: {}}}\n",
    "hosts' names": "scenario: A\nhosts: [a.b, any, a, a]\nexpect: {findings: {a: {}}}\n",
    "host settings": """scenario: A
hosts:
  client:
    sysctl: {tcp_sack: 0, net.ipv4.tcp_sack: true, net: {ipv4: {tcp_sack: 1, tcp_rmem: [1, 2]}}}
    offload: maybe
    forwarding: true
  server:
    firewall: {policy: deny, open: [80, 70000], closed: [81], filtered: [81]}
    routes: [{to: default}, {to: 192.0.2.1/24}, {via: client}, {to: client, rto_min: 50, via: 1.2.3}]
expect: {findings: {client: {}}}
""",
    "one port in two lists": """scenario: A
hosts: {a: {firewall: {open: 80, closed: [81, 80]}}}
expect: {findings: {a: {}}}
""",
    "links": """scenario: A
hosts: [client, server, router]
links:
  - [client]
  - [client, sever]
  - [client, client]
  - client-server
  - {hosts: [client, router]}
  - {join: [client, router], mtu: 10, delay: 5}
expect: {findings: {client: {}}}
""",
    "the same link twice": """scenario: A
hosts: [a, b]
links: [[a, b], [a, b]]
expect: {findings: {a.eth0: {}}}
""",
    "addresses": """scenario: A
ip: 6
hosts: [a, b]
links:
  - {join: [a, b], mtu: 1000}
  - {join: [a, b], name: x, addresses: {a: 192.0.2.1/24, b: 192.0.2.0/24}}
  - {join: [a, b], name: y, addresses: {a: 192.0.2.1/24, b: 192.0.2.2/24}}
  - {join: [a, b], name: z, addresses: {a: "2001:db8::1/64", b: "2001:db8::1/64"}}
expect: {findings: {a.eth0: {}}}
""",
    # --- endpoints
    "endpoints": lab(
        endpoints="""endpoints:
  server: {on: sever, listen: 70000}
  nobody: {listen: 80}
  nothing: {on: server}
  both: {on: server, listen: 80, connect: server}
  mixed: {on: server, run: nc -l 80, do: close, ready: 80}
  lost: {on: client, connect: nobdy}
  far: {on: client, connect: "server:0"}
  literal: {on: client, connect: "[::1]:80"}
  deaf: {on: client, connect: far}
  twice: {on: server, listen: 80}
  again: {on: server, listen: 80, lisen: 81, times: 0}
"""
    ),
    "steps": lab(
        endpoints="""endpoints:
  server: {on: server, listen: 105, do: [receive: eof, receive: 1 KiB, close, close, send: 1 KiB]}
  client:
    on: client
    connect: server
    do:
      - send
      - send: 200
      - send: {text: 5}
      - send: {text: a, size: 1 B}
      - send: 0 B
      - recieve: eof
      - receive: all
      - close: now
      - {pause: 50ms, close: }
      - pause: {until: server sleeping}
      - pause: {until: sever done}
      - pause: {until: fault 1 fired}
      - pause: {till: server done}
      - [close]
      -
      - set: {rcvbuf: 4096, keepalive: {idle: 500ms}, nodelay: 1}
  waiting: {on: client, connect: server, do: {pause: {until: waiting done}}}
  quiet: {on: client, connect: server, do: [shutdown, send: 1 KiB]}
"""
    ),
    # --- faults
    "matches": lab(
        """faults:
  - {when: {from: sever}, do: drop}
  - {when: {from: client, to: client}, do: drop}
  - {when: {flags: SX}, do: drop}
  - {when: {data: 0, nth: x}, do: drop}
  - {when: {data: 1, byte: 1}, do: drop}
  - {when: {flow: server}, do: drop}
  - {when: {after: fault 99, state: open, times: often, win: 70000}, do: drop}
  - {name: mine, when: {after: mine}, do: drop}
  - {name: mine, when: {}, do: drop}
  - {do: drop}
  - {when: {len: "4..2"}}
"""
    ),
    "actions": lab(
        """faults:
  - {when: {}, do: dorp}
  - {when: {}, do: [drop: 1, delay, {delay: 5}, {hold: 0}, {duplicate: 0}, {corrupt: udp}]}
  - {when: {}, do: {corrupt: {bit: 8}}}
  - {when: {}, do: {set: {}}}
  - {when: {}, do: {set: {window: 0, ttl: 256, strip: [sack, all], checksum: wrong}}}
  - {when: {}, do: {inject: {to: client, from: client, seq: soon, flags: has R}}}
  - {when: {}, do: {kill: server}}
  - {when: {}, do: {kill: {endpoint: server, signal: DIE}}}
"""
    ),
    "a fault on no link": """scenario: A
hosts: [a]
faults: [{when: {}, do: drop}]
expect: {findings: {a: {}}}
""",
    "faults on several links": """scenario: A
hosts: [client, router, server]
links: [[client, router], [router, server]]
faults:
  - {when: {from: router}, do: drop}
  - {when: {from: client, to: server}, do: drop}
  - {link: client-router, when: {from: server}, do: drop}
  - {link: client-server, when: {from: server}, do: drop}
  - {link: client-router, when: {from: client}, do: {inject: {to: server}}}
expect: {findings: {client: {}}}
""",
    # --- expectations and captures
    "findings": lab(
        expect="""expect:
  findings:
    clinet: {}
    server: {retransmision: 1, reset: "1..0", gap: many, zero_window: 1.5}
    client:
      retransmission: {count: 1, kind: fats, of: fault 1, before: rest}
      one_of: [{reset: 1}]
"""
    ),
    "other expectations": lab(
        expect="""expect:
  endpoints:
    server: {error: ECONRESET, sent: 5, throughput: 5mb, output: a}
    clinet: {error: none}
    client: {duration: 1}
  counters: {client: {tcp_retrans: 1, TcpRetransSegs: -1}}
  faults: {fault 1: 1}
  capture: {client: {lost: 1}}
"""
    ),
    "captures": lab(
        """capture:
  client: on
  client.eth0: {snaplen: 1, buffer: 100 B, names: true, stall: client}
  server: off
""",
        expect="expect: {findings: {server: {}}}\n",
    ),
    "a look at what is off": lab("capture: {server: off}\n", expect="expect: {findings: {server: {}}}\n"),
    "a host with two interfaces": """scenario: A
hosts: [client, router, server]
links: [[client, router], [router, server]]
expect: {findings: {router: {}}}
""",
    "an endpoint that is not asked": lab(
        endpoints="endpoints:\n  server: {on: server, run: sleep 1}\n",
        expect="expect: {endpoints: {server: {received: 1 B, output: a, exit: 300}}}\n",
    ),
}


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ScenarioErrors) as caught:
        load(text, "x.yaml", findings=FINDINGS)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_scenario_is_refused_with_a_place_and_what_was_expected(name: str) -> None:
    for problem in problems(BROKEN[name]):
        place, _, text = problem.partition(": ")
        assert place.count(":") == 2, problem
        assert text, problem


def test_messages(golden: Callable[[str, str], None]) -> None:
    told = [f"# {name}\n" + "\n".join(problems(text)) + "\n" for name, text in BROKEN.items()]
    golden("scenario_mistakes", "\n".join(told))


def test_the_sound_scenario_that_the_broken_ones_are_made_from_loads() -> None:
    assert [case.id for case in load(lab(), "x.yaml", findings=FINDINGS)] == ["x.yaml"]
