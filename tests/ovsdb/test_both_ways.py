# SPDX-License-Identifier: Apache-2.0
"""Two large messages at once, one each way: a server that is not read from does not read."""

import socket
import tempfile
import threading
from pathlib import Path

from vneter_sdn.ovsdb.transport import Network, Stream

SIZE = 8 << 20


def test_a_server_that_sends_before_it_reads_is_not_waited_for():
    with (
        tempfile.TemporaryDirectory(prefix="vs") as directory,
        socket.socket(socket.AF_UNIX) as door,
    ):
        path = str(Path(directory) / "db.sock")
        door.bind(path)
        door.listen()
        taken = []

        def serve():
            peer, _ = door.accept()
            with peer:
                peer.sendall(b"x" * SIZE)
                while sum(map(len, taken)) < SIZE and (data := peer.recv(1 << 20)):
                    taken.append(data)

        server = threading.Thread(target=serve, daemon=True)
        server.start()
        stream = Stream(f"unix:{path}", Network(), 5.0)
        stream.send(b"y" * SIZE, 10.0)
        received = 0
        while received < SIZE:
            received += len(stream.receive(5.0) or b"")
        server.join(5)
        stream.close()
    assert received == sum(map(len, taken)) == SIZE
