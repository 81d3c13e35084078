"""One file, several cases."""

from __future__ import annotations

import pytest

from tcpharness.scenario.load import ScenarioErrors, load
from tcpharness.scenario.model import Case

HEAD = "hosts: [client, server]\nlinks: [[client, server]]\nexpect: {counters: {client: {TcpInErrs: 0}}}\n"


def cases(text: str) -> list[Case]:
    return load(HEAD + text, "x.yaml", findings={})


def test_a_file_without_a_matrix_is_one_case_without_a_bracket() -> None:
    assert [case.id for case in cases("scenario: A\n")] == ["x.yaml"]
    assert [(case.id, case.ip) for case in cases("scenario: A\nip: 6\n")] == [("x.yaml", 6)]


def test_every_combination_in_order_with_ip_first() -> None:
    found = cases("scenario: '${a}'\nmatrix: {a: [x, y z]}\nip: [4, 6]\n")
    assert [case.id for case in found] == [
        "x.yaml[ip=4,a=x]",
        "x.yaml[ip=4,a=y z]",
        "x.yaml[ip=6,a=x]",
        "x.yaml[ip=6,a=y z]",
    ]
    assert [(case.name, case.ip) for case in found] == [("x", 4), ("y z", 4), ("x", 6), ("y z", 6)]
    assert found[3].values == {"ip": "6", "a": "y z"}


def test_ip_may_stand_in_the_matrix() -> None:
    assert [case.ip for case in cases("scenario: A\nmatrix: {ip: [6, 4]}\n")] == [6, 4]


def test_a_name_with_one_value_is_not_in_the_bracket() -> None:
    assert [case.id for case in cases("scenario: '${a}'\nmatrix: {a: [x]}\nip: [4, 6]\n")] == [
        "x.yaml[ip=4]",
        "x.yaml[ip=6]",
    ]


def test_a_value_keeps_its_kind_and_fits_into_text_and_keys() -> None:
    found = cases("""scenario: 'a ${n} and $${n} and ${ip}'
matrix: {n: [1, 2]}
seed: "${n}"
endpoints:
  e${n}: {on: client, connect: "server:${n}", do: [send: "${n} KiB"]}
""")
    assert [case.name for case in found] == ["a 1 and ${n} and 4", "a 2 and ${n} and 4"]
    assert [case.seed for case in found] == [1, 2]
    assert [case.endpoints[0].name for case in found] == ["e1", "e2"]
    assert [case.endpoints[0].steps[0].size for case in found] == [1024, 2048]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("matrix: {a: [1, 2], b: [3]}\nscenario: '${a}'\n", 'x.yaml:4:21: matrix name "b" is never used'),
        ("scenario: '${x}'\n", 'x.yaml:4:11: unknown matrix name "x"'),
        ("scenario: A\nmatrix: [1]\n", "x.yaml:5:9: a list cannot stand here; expected a mapping of names"),
        (
            "ip: 4\nscenario: A\nmatrix: {ip: [4]}\n",
            'x.yaml:6:10: duplicate key "ip"; it is given at the top',
        ),
        (
            "scenario: A\nmatrix: {a: [x, y]}\nendpoints: {'${a}': {}, x: {}}\n",
            'x.yaml:6:25: duplicate key "x", once the matrix is filled in (in case [a=x])',
        ),
    ],
)
def test_mistakes(text: str, problem: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        cases(text)
    assert problem in str(caught.value)


def test_other_mistakes_are_told_beside_those_of_the_matrix() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        cases("scenario: A\nmatrix: {a: []}\nseed: '${a}'\ntimeout: 5\n")
    assert [problem.at.line for problem in caught.value.problems] == [5, 7]
