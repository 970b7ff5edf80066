"""Nothing that the suite starts speaks to another machine; what would, is seen, in whatever language it is written."""

import os
import subprocess
import sys
from pathlib import Path

import egress
import pytest

NODE = "const s = require('dgram').createSocket('udp4'); s.connect({port}, '192.0.2.77', () => s.close())"
UVLOOP = """
import asyncio, uvloop
async def main():
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("192.0.2.77", {port}))
    transport.close()
uvloop.run(main())
"""
PLAIN = "import socket; socket.socket(type=socket.SOCK_DGRAM).connect(('192.0.2.77', {port}))"
SENDING = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('192.0.2.77', {port}))"
PYTHON = [sys.executable, "-c"]


@pytest.mark.skipif(not egress.can_record(), reason="this system has no seccomp listener")
@pytest.mark.promise("3.0")
@pytest.mark.parametrize(
    ("program", "source", "port"),
    [
        (PYTHON, PLAIN, 49_001),
        (PYTHON, SENDING, 49_002),
        (PYTHON, UVLOOP, 49_003),
        ([str(Path(sys.executable).with_name("node")), "-e"], NODE, 49_004),
    ],
    ids=["Python", "Python, sending at once", "uvloop, in C", "Node"],
)
def test_whatever_speaks_to_another_machine_is_seen(program, source, port):
    subprocess.run([*program, source.format(port=port)], check=True)
    seen = egress.read(Path(os.environ["ASSISTERS_TESTS_EGRESS"]))
    assert [one.address for one in seen if one.port == port] == [egress.PROVEN]
    assert all(one.leaves for one in seen if one.port == port)


@pytest.mark.parametrize(
    ("address", "leaves"),
    [("127.0.0.1", False), ("127.8.8.8", False), ("::1", False), ("::ffff:127.0.0.1", False), ("0.0.0.0", False),  # noqa: S104 (spoken to, not listened at)

     ("10.0.0.53", True), ("192.168.1.1", True), ("::ffff:192.0.2.1", True), ("2001:db8::1", True)],
)  # fmt: skip
def test_only_this_machine_is_this_machine(address, leaves):
    contact = egress.Contact(address, 443, "anything")
    assert contact.leaves is leaves
    assert egress.strangers([contact]) == ([contact] if leaves else [])
