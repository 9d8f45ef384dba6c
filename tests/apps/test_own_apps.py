# SPDX-License-Identifier: Apache-2.0
"""The apps for students, on real bridges: packets arrive, and do again after a link is lost."""

import re

import pytest

pytestmark = [pytest.mark.fleet, pytest.mark.timeout(180)]


def test_learning_switch_forwards_and_forgets(lab, apps):
    lab.bridge(1)
    lab.bridge(2)
    lab.link(1, 2)
    for name, bridge in (("a", 1), ("b", 1), ("c", 2)):
        lab.workload(name, bridge)
    lab.program(apps / "learning_switch.py")
    lab.await_ping("a", "b")
    lab.await_ping("a", "c")
    flows = lab.ofctl("dump-flows", "s1")
    assert flows.count("dl_src=02:00:00:00:00:01,dl_dst=02:00:00:00:00:03") == 1
    assert lab.ping("a", "c", 20) == 20
    lab.cut(1, 2)
    lab.until(
        lambda: "dl_dst=02:00:00:00:00:03" not in lab.ofctl("dump-flows", "s1"),
        "flows to c are gone",
    )
    assert not lab.ping("a", "c")
    lab.mend(1, 2)
    lab.await_ping("c", "a")


@pytest.fixture
def square(lab):
    """Four bridges in a ring with a diagonal, a workload on each of two opposite corners."""
    for number in (1, 2, 3, 4):
        lab.bridge(number)
    for pair in ((1, 2), (2, 3), (3, 4), (4, 1), (1, 3)):
        lab.link(*pair)
    lab.workload("a", 1)
    lab.workload("b", 3)
    return lab


def port_of(lab, bridge, interface):
    found = re.search(rf"(\d+)\({interface}\)", lab.ofctl("show", f"s{bridge}"))
    return int(found[1])


def test_shortest_path_takes_it_and_another_when_it_is_lost(square, apps):
    square.program("--observe-links", apps / "shortest_path.py")
    square.await_ping("a", "b")

    def leaves_by(interface):
        does = f"dl_dst=02:00:00:00:00:02 actions=output:{port_of(square, 1, interface)}\n"
        return does in square.ofctl("dump-flows", "s1")

    square.until(lambda: leaves_by("s1-s3"), "the diagonal is used")
    assert square.ping("a", "b", 20) == 20
    square.cut(1, 3)
    square.until(lambda: leaves_by("s1-s2") or leaves_by("s1-s4"), "a way around is used")
    square.await_ping("a", "b")
    assert square.ping("a", "b", 20) == 20
    square.mend(1, 3)
    square.until(lambda: leaves_by("s1-s3"), "the diagonal is used again")


def test_multi_path_spreads_over_paths_and_heals(square, apps):
    square.program("--observe-links", apps / "multi_path.py")
    square.await_ping("a", "b")
    square.until(lambda: square.ofctl("dump-groups", "s1").count("bucket=") >= 3, "three paths")
    assert square.ping("a", "b", 20) == 20
    group = square.ofctl("dump-groups", "s1")
    assert "type=select" in group
    assert len(set(re.findall(r"set_field:(\d+)->vlan_vid", group))) == group.count("bucket=")
    square.cut(1, 3)
    square.cut(1, 2)
    square.until(lambda: square.ofctl("dump-groups", "s1").count("bucket=") == 1, "one path")
    square.await_ping("a", "b")
    assert square.ping("a", "b", 20) == 20
