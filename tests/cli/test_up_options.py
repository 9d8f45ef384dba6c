# SPDX-License-Identifier: Apache-2.0
"""``vneterctl up``: its options become settings, from words and from the environment."""

import os

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from vneter_sdn.cli import up as running
from vneter_sdn.cli.main import app_of
from vneter_sdn.config import LAB_LISTEN, Settings


@pytest.fixture
def given(monkeypatch):
    """Settings that the controller would be run with."""
    found = []
    monkeypatch.setattr(running, "up", found.append)

    def run(*words, **variables):
        ended = CliRunner().invoke(app_of("up"), ["up", *words], env=variables)
        assert ended.exit_code == 0, ended.output
        return found.pop()

    return run


def test_without_options_all_is_as_settings_have_it(given):
    assert given() == Settings()


def test_options_and_the_environment_say_the_same(given):
    words = ("--te-interval", "7", "--lab", "--audit-syslog", "udp:h:1", "--api-listen", "unix:x")
    said = given(VNETER_TE_INTERVAL="7", VNETER_LAB="1", VNETER_AUDIT_SYSLOG="udp:h:1",
                 VNETER_API_LISTEN="unix:x")  # fmt: skip
    assert given(*words) == said
    assert (said.te_interval, said.lab, said.api_listen) == (7.0, True, "unix:x")
    assert said.openflow_listen == (LAB_LISTEN,)


def test_paths_are_absolute_and_listeners_repeat(given):
    said = given("--state-dir", "a", "--audit-file", "b", "--openflow-listen", "ptcp:1:127.0.0.1",
                 "--openflow-listen", "pssl:2", "--lab", "-v", "--dns-upstreams", "192.0.2.53",
                 "--dns-upstreams", "192.0.2.54:5353")  # fmt: skip
    assert (said.state_dir, said.audit_file) == (os.path.abspath("a"), os.path.abspath("b"))
    assert said.openflow_listen == ("ptcp:1:127.0.0.1", "pssl:2")
    assert said.dns_upstreams == ("192.0.2.53", "192.0.2.54:5353")
    assert said.log_level == "DEBUG"


def test_every_setting_can_be_said(given):
    """But how much is logged, which is ``--verbose``: what nobody can set is no setting."""
    options = {one.name for one in get_command(app_of("up")).commands["up"].params}
    assert set(Settings.__struct_fields__) - options == {"log_level"}
    said = given("--no-discovery", "--api-limit-local", "--api-write-rate", "0.5")
    assert (said.discovery, said.api_limit_local, said.api_write_rate) == (False, True, 0.5)


def test_numbers_have_limits():
    ended = CliRunner().invoke(app_of("up"), ["up", "--te-interval", "1"])
    assert ended.exit_code == 2
