"""Every connection that anything in a test run opens, recorded where none can hide: at the system call.

On Linux a seccomp filter with a listener (seccomp_unotify(2)) stands in front of `connect` and of `sendto` with an
address, for the test process and for all it starts: workers, the product, PostgreSQL, Node, Chromium, in whatever
language they speak. The kernel asks the recorder, which writes the address down and lets the call go on. The recorder
is our parent: a process of which all others descend may read their memory, whoever runs them.

What the filter cannot see: io_uring, and datagrams sent by `sendmsg` from a socket that was never connected.
"""

import ctypes
import errno
import fcntl
import ipaddress
import json
import os
import platform
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn, TextIO

# Numbers of linux/prctl.h, linux/seccomp.h and linux/filter.h
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SET_MODE_FILTER, NEW_LISTENER = 1, 8
ALLOW, ASK = 0x7FFF0000, 0x7FC00000
NOTIF_RECV, NOTIF_SEND, CONTINUE = 0xC0502100, 0xC0182101, 1
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, ARCH, ADDRESS = 0, 4, 16 + 4 * 8  # where the call, the machine and the fifth argument stand in what is judged
MACHINES = {  # AUDIT_ARCH_…, and the numbers of seccomp, connect and sendto
    "x86_64": (0xC000003E, 317, 42, 44),
    "aarch64": (0xC00000B7, 277, 203, 206),
}
REFUSED = "refused"
SOCKADDR_BYTES = 28  # struct sockaddr_in6, the longest that leads out of this machine


@dataclass(frozen=True, slots=True)
class Contact:
    """One address that was connected to, or sent to, and the program that did it."""

    address: str
    port: int
    program: str

    @property
    def leaves(self) -> bool:
        """True when the address is not this machine itself."""
        found = ipaddress.ip_address(self.address)
        inner = getattr(found, "ipv4_mapped", None) or found
        return not (inner.is_loopback or inner.is_unspecified)  # to 0.0.0.0 means to ourselves


ROUTE = "2001:4860:4860::8888"  # Chromium connects a datagram socket to it, to see if there is IPv6, and sends nothing
PROVEN = "192.0.2.77"  # RFC 5737: nobody's; tests/base/test_egress.py shows with it that nothing stays unseen


def read(record: Path) -> list[Contact]:
    """Return the contacts in a record, each once; raise RuntimeError when the system refused to have it kept."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    if REFUSED in lines:
        raise RuntimeError("The kernel refused to have connections recorded, though it is one that can.")
    return [Contact(**line) for line in lines]


def strangers(contacts: list[Contact]) -> list[Contact]:
    """Return those that left this machine. A question to a name server is one, so no name is looked up either.

    Fetching what the front end is built from is no part of a run: `make test` builds before it, a test only where that
    was not done.
    """
    return [
        contact
        for contact in contacts
        if contact.leaves and contact.address not in (PROVEN, ROUTE) and not contact.program.startswith("npm ")
    ]


def can_record() -> bool:
    """Say whether this kernel can ask us about system calls."""
    return sys.platform == "linux" and platform.machine() in MACHINES and struct.calcsize("P") == 8


def split(record: Path) -> None:
    """Go on in a child whose connections, and those of all it starts, its parent writes to `record`.

    The parent never returns: it ends as the child ends.
    """
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child:
        ours.close()
        _record(child, theirs, record)
    theirs.close()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    listener = _install(libc)
    socket.send_fds(ours, [b"f" if listener >= 0 else b"-"], [listener] if listener >= 0 else [])
    if listener >= 0:
        os.close(listener)
    ours.recv(1)  # the recorder listens
    ours.close()


def _install(libc: ctypes.CDLL) -> int:
    """Put the filter in front of this thread and of all that comes from it; return the listener, -1 when refused."""
    architecture, seccomp, connect, sendto = MACHINES[platform.machine()]
    lines = (  # what to do, where to go on when equal and when not (lines to skip), with what
        (LOAD, 0, 0, ARCH),
        (JUMP_IF_EQUAL, 0, 5, architecture),
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 4, 0, connect),
        (JUMP_IF_EQUAL, 0, 2, sendto),
        (LOAD, 0, 0, ADDRESS),
        (JUMP_IF_EQUAL, 0, 1, 0),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ASK),
    )
    code = b"".join(struct.pack("=HBBI", *line) for line in lines)
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(lines), ctypes.addressof(held))
    if os.geteuid() != 0:  # the kernel's condition for those who may not do everything anyway
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    listener: int = libc.syscall(seccomp, SET_MODE_FILTER, NEW_LISTENER, program)
    return listener


def _record(child: int, told: socket.socket, record: Path) -> NoReturn:
    """Answer the kernel until the child has ended; then end as it did."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal tells the child too
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    _, listeners, _, _ = socket.recv_fds(told, 1, 1)
    told.send(b"!")
    ended, status = 0, 0
    with record.open("a", buffering=1) as file:
        if not listeners:
            file.write(json.dumps(REFUSED) + "\n")
        else:
            _answer_while(listeners[0], lambda: not _has_ended(child), file)
    ended, status = os.waitpid(child, 0)
    assert ended == child
    os._exit(os.waitstatus_to_exitcode(status) % 256)


def _has_ended(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _answer_while(listener: int, wanted: Callable[[], bool], file: TextIO) -> None:
    asked, written = select.poll(), set[Contact]()
    asked.register(listener, select.POLLIN)
    while wanted():
        if not asked.poll(200):
            continue
        question = bytearray(80)  # struct seccomp_notif
        try:
            fcntl.ioctl(listener, NOTIF_RECV, question)
            number, pid = struct.unpack_from("QI", question)
            contact = _contact(pid, struct.unpack_from("6Q", question, 32), struct.unpack_from("i", question, 16)[0])
            if contact and contact not in written:
                written.add(contact)
                file.write(json.dumps(asdict(contact)) + "\n")
            fcntl.ioctl(listener, NOTIF_SEND, bytearray(struct.pack("QqiI", number, 0, 0, CONTINUE)))
        except OSError as problem:
            if problem.errno != errno.ENOENT:  # whoever asked has been killed meanwhile
                raise


def _contact(pid: int, arguments: tuple[int, ...], call: int) -> Contact | None:
    """Return whom a process is about to speak to; None when it stays within this machine by its very kind."""
    connect = MACHINES[platform.machine()][2]
    place, length = arguments[1:3] if call == connect else arguments[4:6]
    try:
        with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
            memory.seek(place)
            address = memory.read(min(length, SOCKADDR_BYTES))
        program = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None  # it has ended, or gave an address that is none: the call itself fails then
    family = struct.unpack_from("H", address)[0] if len(address) > 1 else socket.AF_UNSPEC
    if family == socket.AF_INET:
        return Contact(socket.inet_ntop(family, address[4:8]), int.from_bytes(address[2:4]), program[:200])
    if family == socket.AF_INET6:
        return Contact(socket.inet_ntop(family, address[8:24]), int.from_bytes(address[2:4]), program[:200])
    return None
