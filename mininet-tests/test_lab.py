# SPDX-License-Identifier: Apache-2.0
"""A command in a lab is over when the call returns, so that what comes next is alone there."""

import pytest

HANGS = """
from mininet.node import RemoteController

class Hangs(RemoteController):
    def isListening(self, ip, port):
        return self.read(1)  # of its shell, which says nothing

controllers = {"hangs": Hangs}
"""


@pytest.fixture
def undisturbed(lab):
    """In the end nobody is in the lab but who was there before."""

    def there():
        told = lab.run(["ps", "-e", "-o", "stat=", "-o", "args="]).stdout.splitlines()
        found = (line.split(maxsplit=1) for line in told)
        return {args for stat, args in found if "Z" not in stat and not args.startswith("ps ")}

    before = there()
    yield
    assert there() == before


def test_an_mn_that_hangs_is_interrupted_and_has_cleaned_up(lab, undisturbed):
    lab.run(["sh", "-c", 'printf %s "$1" >/run/hangs.py', "sh", HANGS])
    words = ["--custom", "/run/hangs.py", "--controller", "hangs", "--topo", "linear,2"]
    ended = lab.run(["mn", *words, "--switch", "ovs,datapath=user"], timeout=4)
    assert ended.returncode == 124
    assert "Cleanup complete" in ended.stdout, ended.stdout
    assert "Traceback" not in ended.stdout
    assert lab.run(["ovs-vsctl", "list-br"]).stdout == ""
    assert "-eth" not in lab.run(["ip", "-o", "link"]).stdout


def test_of_a_command_that_heeds_no_interrupt_nothing_is_left(lab, undisturbed):
    stubborn = "trap '' INT; echo begun; setsid sleep 1000 & sleep 1000"
    ended = lab.run(["sh", "-c", stubborn], timeout=1, patience=1)
    assert (ended.returncode, ended.stdout) == (124, "begun\n")
