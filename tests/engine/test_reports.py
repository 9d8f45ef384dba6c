# SPDX-License-Identifier: Apache-2.0
from vneter_sdn.engine.reports import HostView, endpoint_conditions, host_conditions, stamp
from vneter_sdn.model.snapshot import Binding, Condition, Key, Status

WEB = Key("Endpoint", "red", "web")
UP = HostView(database=True, channel=True, channel_version="OpenFlow15", desired=3, confirmed=3)


def view(**changes):
    fields = {"database": True, "channel": True, "channel_version": "OpenFlow15"}
    return HostView(**{**fields, **changes})


def by_type(conditions):
    return {c.type: (c.status, c.reason) for c in conditions}


def test_a_host_in_sync_is_ready():
    assert by_type(host_conditions(UP)) == {
        "Ready": ("True", "InSync"),
        "DatabaseConnected": ("True", "Connected"),
        "OpenFlowConnected": ("True", "OpenFlow15"),
        "InSync": ("True", "Confirmed"),
    }


def test_a_host_is_not_ready_for_its_first_broken_reason():
    silent = HostView(database_reason="Refused", database_message="connection refused")
    assert by_type(host_conditions(silent))["Ready"] == ("False", "Refused")
    waiting = view(desired=4, confirmed=3)
    assert by_type(host_conditions(waiting))["Ready"] == ("False", "Programming")
    refused = view(desired=4, confirmed=3, refused="TableFull", refused_message="(5, 1)")
    assert by_type(host_conditions(refused))["InSync"] == ("False", "TableFull")


def ready(binding, epoch, views, holders=()):
    return by_type(endpoint_conditions(binding, epoch, views, holders))["Ready"]


def test_an_endpoint_nobody_shows_is_not_bound():
    assert by_type(endpoint_conditions(None, 0, {}, ())) == {
        "Ready": ("False", "NotBound"),
        "Bound": ("False", "NotBound"),
    }


def test_an_endpoint_waits_for_every_connected_bridge_that_must_know_it():
    bound = Binding(WEB, "h1", "v1", 1, 1)
    behind = view(desired=5, confirmed=4)
    assert ready(bound, 5, {"h1": UP, "h2": UP}, ["h2"]) == ("True", "Confirmed")
    assert ready(bound, 5, {"h1": UP, "h2": behind}, ["h2"]) == ("False", "Programming")
    assert ready(bound, 4, {"h1": UP, "h2": behind}, ["h2"]) == ("True", "Confirmed")


def test_a_peer_that_is_away_holds_nobody_up():
    bound = Binding(WEB, "h1", "v1", 1, 1)
    away = view(channel=False, desired=5, confirmed=-1)
    assert ready(bound, 5, {"h1": UP, "h2": away}, ["h2"]) == ("True", "Confirmed")


def test_an_endpoint_on_a_host_that_is_away_is_not_ready():
    bound = Binding(WEB, "h1", "v1", 1, 1)
    away = view(channel=False, desired=5, confirmed=-1)
    assert ready(bound, 5, {"h1": away}) == ("False", "NoChannel")
    assert ready(bound, 5, {}) == ("False", "NoChannel")


def test_a_condition_keeps_the_time_at_which_its_status_changed():
    before = Status(WEB, 1, (Condition("Ready", "True", "Confirmed", "", "monday"),))
    same = Status(WEB, 2, (Condition("Ready", "True", "Confirmed"),))
    other = Status(WEB, 2, (Condition("Ready", "False", "NotBound"),))
    assert stamp(same, before, "friday").conditions[0].changed == "monday"
    assert stamp(other, before, "friday").conditions[0].changed == "friday"
    assert stamp(other, None, "friday").conditions[0].changed == "friday"


def test_a_host_without_a_database_is_ready_by_openflow_alone():
    view = HostView(managed=False, channel=True, channel_version="OpenFlow15", confirmed=0)
    conditions = host_conditions(view)
    assert [one.type for one in conditions] == ["Ready", "OpenFlowConnected", "InSync"]
    assert all(one.status == "True" for one in conditions)
    assert host_conditions(HostView(managed=True, channel=True, confirmed=0))[0].status == "False"
