"""Where anything could be left behind: a dump of the database, everything in Valkey, and the logs."""

import base64
import re
import subprocess

import pytest
import redis
from product import Product

from assisters_app.base import crypto, local_servers, sealed_text

READERS = {
    "string": lambda store, name: store.get(name),
    "hash": lambda store, name: store.hgetall(name),
    "list": lambda store, name: store.lrange(name, 0, -1),
    "set": lambda store, name: store.smembers(name),
    "zset": lambda store, name: store.zrange(name, 0, -1),
    "stream": lambda store, name: store.xrange(name),
}


def found(product: Product, *words: str) -> list[str]:
    """Return where any of the words stands: in a dump of the database, in Valkey, or in the logs."""
    stores = {"database": _dump(product), "valkey": _valkey(product), "logs": product.log.read_text()}
    return [
        f"{name}: {place}"
        for name, text in stores.items()
        for word in words
        for place in re.findall(rf".{{0,60}}{re.escape(word)}.{{0,60}}", text)
    ]


def _dump(product: Product) -> str:
    program = local_servers.postgres_programs() / "pg_dump"
    dumped = subprocess.run([program, product.env["DATABASE_URL"]], capture_output=True, text=True, check=True)
    assert "CREATE TABLE assisters.account" in dumped.stdout
    return re.sub(re.escape(sealed_text.MARK) + "[a-z2-7]+", lambda found: _unsealed(product, found[0]), dumped.stdout)


def _unsealed(product: Product, address: str) -> str:
    """Return what the product sealed, whose pepper is not ours."""
    with pytest.MonkeyPatch.context() as patch:
        pepper = base64.b64decode(product.env["ASSISTERS_PEPPER"])
        patch.setattr(crypto, "derived_keys", lambda purpose: (crypto._derive(pepper, purpose),))
        return sealed_text.unseal(address)


def _valkey(product: Product) -> str:
    with redis.Redis.from_url(product.env["REDIS_URL"]) as store:
        return "\n".join(
            f"{name!r} {READERS[store.type(name).decode()](store, name)!r}" for name in store.scan_iter(count=1000)
        )
