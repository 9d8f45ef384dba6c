# SPDX-License-Identifier: Apache-2.0
from vneter_sdn.engine.bindings import Decision, Port, decide, forget, sight
from vneter_sdn.model.snapshot import Binding, Key

WEB = Key("Endpoint", "red", "web")
IDS = {"red/web": WEB}


def port(number=1, interface="v1"):
    return Port("red/web", interface, number)


def bound(host, sequence=1, number=1, interface="v1"):
    return Binding(WEB, host, interface, number, sequence)


def test_a_port_that_appears_binds_its_endpoint():
    seen = sight({}, "h1", [port()], 1)
    assert decide(IDS, {}, seen, 7) == Decision(bound=(bound("h1", 8),))


def test_a_binding_that_still_holds_is_not_written_again():
    seen = sight({}, "h1", [port()], 1)
    assert decide(IDS, {WEB: bound("h1")}, seen, 1) == Decision()


def test_a_new_port_number_is_a_new_binding():
    seen = sight({}, "h1", [port(2)], 1)
    assert decide(IDS, {WEB: bound("h1")}, seen, 1) == Decision(bound=(bound("h1", 2, 2),))


def test_the_newest_appearance_wins_while_the_old_host_still_shows_it():
    seen = sight(sight({}, "h1", [port()], 1), "h2", [], 2)
    seen = sight(seen, "h2", [port(5, "v9")], 3)
    assert decide(IDS, {WEB: bound("h1")}, seen, 1) == Decision(bound=(bound("h2", 2, 5, "v9"),))


def test_after_a_restart_the_stored_binding_breaks_the_tie():
    seen = sight(sight({}, "h1", [port()], 1), "h2", [port()], 2)
    assert decide(IDS, {WEB: bound("h2")}, seen, 1) == Decision()
    assert decide(IDS, {WEB: bound("h1")}, seen, 1) == Decision()


def test_after_a_restart_the_stored_binding_waits_for_its_host():
    seen = sight({}, "h1", [port()], 1)
    assert decide(IDS, {WEB: bound("h2")}, seen, 1) == Decision()
    seen = sight(seen, "h2", [], 2)
    assert decide(IDS, {WEB: bound("h2")}, seen, 1) == Decision(bound=(bound("h1", 2),))


def test_a_port_that_goes_unbinds_only_once_its_host_says_so():
    assert decide(IDS, {WEB: bound("h1")}, {}, 1) == Decision()
    seen = sight({}, "h1", [], 1)
    assert decide(IDS, {WEB: bound("h1")}, seen, 1) == Decision(unbound=(WEB,))


def test_when_the_newest_place_goes_the_older_one_takes_over():
    seen = sight(sight({}, "h1", [port()], 1), "h2", [], 2)
    seen = sight(seen, "h2", [port()], 3)
    seen = sight(seen, "h2", [], 4)
    assert decide(IDS, {WEB: bound("h2", 2)}, seen, 2) == Decision(bound=(bound("h1", 3),))


def test_a_host_that_left_the_fleet_is_no_evidence():
    seen = forget(sight({}, "h1", [port()], 1), "h1")
    assert decide(IDS, {}, seen, 1) == Decision()
