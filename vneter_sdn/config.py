# SPDX-License-Identifier: Apache-2.0
"""Settings of the processes: frozen values, read once at start, printed by ``vneterctl status``."""

from __future__ import annotations

from typing import Literal

import msgspec

LAB_LISTEN = "ptcp:6653:127.0.0.1"
"""Where a lab's bridges connect: what Mininet goes by (``remote,port=6653``)."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything an operator may set; defaults suit one machine."""

    state_dir: str = "/var/lib/vneter"
    """Where the embedded database and its backups live."""
    run_dir: str = "/run/vneter"
    """Sockets and pid files."""
    db: str = ""
    """OVSDB remotes (``ssl:a:6641,ssl:b:6641``); empty means the embedded server."""
    cluster_tenant: str = "cluster"
    """Tenant of Kubernetes namespaces whose annotation ``vneter.io/tenant`` names no other."""
    api_listen: str = "127.0.0.1:8181"
    """Address of the REST server: ``127.0.0.1:8181``, ``unix:PATH``; off loopback, with TLS and
    credentials only, ``0.0.0.0:8181``. The administrator's own door is then ``api.sock`` in
    ``run_dir``."""
    api_tls_certificate: str = ""
    """PEM file of the REST server's certificate, with its chain; read anew when it changes."""
    api_tls_key: str = ""
    """PEM file of its private key, without a passphrase."""
    api_client_ca: str = ""
    """PEM file of the authorities of clients' certificates; what each may do says a credential of
    its name: ``vneterctl token create CN=ada --certificate --role viewer``."""
    api_require_certificate: bool = False
    """Speak with no client that shows none."""
    api_first_token: str = ""
    """File that a first token, an administrator's, is written to when there is no credential at
    all; only its owner may read it."""
    api_require_credential: bool = False
    """Also of whoever comes by loopback or by a unix socket, who else is administrator."""
    api_threads: int = 24
    """Requests that the REST server serves at once, a thread each."""
    api_watchers: int = 12
    """Watches among them, at most, and at most half of them; more are told to come again."""
    api_read_rate: float = 100.0
    """Reads a second of one client, by its credential or else its address; five times as many at
    once; 0 is no limit. More are answered 429, with Retry-After."""
    api_write_rate: float = 20.0
    """Writes a second of one client, likewise."""
    api_limit_local: bool = False
    """Whether local users without a credential are limited, too, all together."""
    api_watch_seconds: float = 1800.0
    """How long one answer to a watch may be; clients go on where it ended."""
    metrics_listen: str = "127.0.0.1:8182"
    """Address of the core's own metrics; loopback only."""
    openflow_listen: tuple[str, ...] = ()
    """OpenFlow listeners besides the unix socket of each local host: ``pssl:6653:0.0.0.0`` or,
    on loopback or with ``insecure_lab``, ``ptcp:6653:127.0.0.1``."""
    openflow_advertise: str = ""
    """Target written to the Controller rows of remote hosts: ``ssl:192.0.2.1:6653``."""
    lab: bool = False
    """Take in bridges that connect over loopback, and learn who is behind their ports: for Mininet
    and its like. Listens at 127.0.0.1:6653 unless ``openflow_listen`` says otherwise."""
    lab_prefix: str = "10.0.0.0/8"
    """Of the network that a lab begins with, when it has no tenant."""
    insecure_lab: bool = False
    """Permit plain TCP off loopback."""
    private_key: str = ""
    certificate: str = ""
    ca_certificate: str = ""
    accept_older_intent: bool = False
    """Take the database as it is at this start, although bridges confirmed a newer revision."""
    log_level: str = "INFO"
    """Least level of what is logged: DEBUG, INFO, WARNING or ERROR."""
    echo_interval: float = 2.0
    """Seconds between echo requests to a silent bridge; three missed ones close the session."""
    readback_interval: float = 60.0
    """Seconds between two readings of all that a bridge holds, which find what others changed
    there, and try again what it refused."""
    discovery: bool = True
    """Look for wires between bridges by LLDP, and measure links with the same probes."""
    probe_interval: float = 1.0
    """Seconds between two probes of a port; three lost ones in a row take a wire down."""
    count_interval: float = 5.0
    """Seconds between two readings of the counters of bridges' ports, and between two reports of
    what is measured of links. That something is drained takes three."""
    bfd_interval_ms: int = 100
    """Milliseconds between BFD packets on links, each way; three missed take one down. 20 finds
    what fails silently in 60 ms, at 50 packets/s for each link, where machines are never too busy
    to send them."""
    damping_half_life: float = 30.0
    """Seconds in which half of what a link's failures count for is forgotten. One that fails three
    times within 4/3 of it is left out until it has been quiet, for twice as long at most."""
    te_max_moves: int = 10
    """Paths whose weight one plan of traffic engineering may change."""
    te_interval: float = 30.0
    """Seconds between two plans of a policy, and between two changes of what was measured."""
    te_measure_interval: float = 10.0
    """Seconds between two readings of the traffic of engineered policies, one question to each
    bridge; 0 measures nothing, then only what is declared counts."""
    te_change_share: float = 0.2
    """Share of a policy's traffic that must have changed for a new plan."""
    te_change_mbps: float = 1.0
    """Mbit/s of measured traffic that must have changed, too."""
    policy_count_interval: float = 10.0
    """Seconds between two readings of what policies decided, one question to each bridge and
    direction; 0 counts nothing."""
    audit_file: str = ""
    """File that lines of the audit log are appended to; opened anew when it was moved away."""
    audit_syslog: str = ""
    """Where they are sent besides, or instead (RFC 5424): ``unix:/dev/log``, ``udp:HOST:PORT``."""
    audit_rate: float = 100.0
    """Lines a second, at most; what is dropped is counted, in the log too."""
    dns_upstreams: tuple[str, ...] = ()
    """Servers that the core asks for names that are no endpoint's, on behalf of networks with dns
    that name none themselves: ``192.0.2.53``, ``[2001:db8::53]:5353``; none: they are refused."""
    verify_applies: Literal["off", "warn", "enforce"] = "off"
    """Whether changes are proven before they are written: that tenants stay isolated and that every
    Assertion holds. ``enforce`` refuses those that break it, with a packet that shows how; ``warn``
    says so and writes them. It keeps a compiled copy of the network in a process of its own."""
    verify_limit: float = 30.0
    """Seconds that such a proof may take. What is not proven by then is refused by ``enforce``, and
    written by ``warn`` with a note that says so."""
    assertion_limit: float = 60.0
    """Seconds that it may take to find out, after a change, which Assertions it breaks, and of each
    that is new, or did not hold, whether it does: the condition ``Holds``, which nobody waits for.
    It is Unknown when that takes longer; 0 never asks."""
    history_revisions: int = 10_000
    """Newest revisions of the intent that are kept with their diffs; 0 keeps all."""
    history_days: float = 0.0
    """Days after which a revision is pruned, save the newest; 0 never."""
    history_audit: int = 10_000
    """Newest entries about access that are kept in the database; 0 keeps all."""
    idempotency_hours: float = 24.0
    """Hours for which a request that comes again with its Idempotency-Key is answered as before,
    and not done again; 0: for ever. Of the newest 20,000 such requests, whatever their age."""
    admission_sweep: float = 5.0
    """Seconds between sweeps that retry allocations and expire released addresses."""
