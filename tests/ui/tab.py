"""A browser tab without a browser: any token, any cookie, any event name, any payload."""

import asyncio
import itertools
import json
import uuid

import socketio

STATE = "reflex___state____state"
TARGET = f"{STATE}.assisters_app___ui___session____app_state.target____target"
PATIENCE = 15.0
_marks = itertools.count(1)


class Tab:
    """Speaks to the socket as Reflex's own client does, or not at all as it does."""

    def __init__(self, base, *, token=None, cookie="", origin="", boot=True, path="/dashboard"):  # noqa: PLR0913 (all a client chooses)
        self.base, self.token, self.boot, self.path = base, token or str(uuid.uuid4()), boot, path
        self.headers = {"Cookie": f"session={cookie}"} if cookie else {}
        if origin:
            self.headers["Origin"] = origin
        self.updates, self.gone, self._news = [], asyncio.Event(), asyncio.Condition()
        self.sio = socketio.AsyncClient(reconnection=False)
        self.sio.on("event", self._take, namespace="/_event")
        self.sio.on("disconnect", self._left, namespace="/_event")

    async def _take(self, update):
        async with self._news:
            self.updates.append(update if isinstance(update, dict) else json.loads(update))
            self._news.notify_all()

    async def _left(self, *_):
        self.gone.set()

    def _here(self):
        return {"pathname": self.path, "query": {}, "asPath": self.path}

    async def __aenter__(self):
        hello = {"event": {"name": f"{STATE}.hydrate_and_load", "payload": {}, "router_data": self._here()}}
        try:
            await self.sio.connect(
                f"{self.base}/_event?token={self.token}",
                headers=self.headers,
                transports=["websocket"],
                socketio_path="/_event",
                namespaces=["/_event"],
                auth=hello if self.boot else {},
                wait_timeout=PATIENCE,
            )
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_):
        await self.sio.disconnect()
        await self._close()

    async def _close(self):
        if self.sio.eio.http and not self.sio.eio.http.closed:
            await self.sio.eio.http.close()

    async def send(self, name, /, **payload):
        """Send an event of the target, or one by its full name."""
        full = name if "." in name else f"{TARGET}.{name}"
        event = {"name": full, "payload": payload, "router_data": self._here()}
        await self.sio.emit("event", event, namespace="/_event")

    async def calls(self, name, /, **payload):
        """Send an event and wait until the tab has answered a later one; return all that came."""
        await self.send(name, **payload)
        await self.settled()
        return self.text

    async def settled(self):
        """Wait until everything sent so far has been dealt with: a tab's events are taken in turn."""
        mark = next(_marks)
        await self.send("note", mark=mark)
        await self.until(lambda: any(self._value(update, "mark") == mark for update in self.updates))

    async def until(self, true):
        """Wait until `true()` holds."""
        async with self._news, asyncio.timeout(PATIENCE):
            await self._news.wait_for(true)

    async def hears(self, words):
        """Wait until the tab is told `words`."""
        await self.until(lambda: words in self.text)

    @property
    def text(self):
        """Return everything that this tab was ever told."""
        return json.dumps(self.updates)

    def value(self, name):
        """Return the latest value of a var of the target."""
        told = [self._value(update, name) for update in self.updates]
        return next((value for value in reversed(told) if value is not None), None)

    @staticmethod
    def _value(update, name):
        return (update.get("delta") or {}).get(TARGET, {}).get(f"{name}_rx_state_")
