"""A browser's tab without a browser: events go through the real pipeline, guard and all, and deltas come back."""

from urllib.parse import urlencode

from reflex.event import Event
from reflex.istate.manager.token import BaseStateToken
from reflex_base.event.processor import BaseStateEventProcessor
from reflex_base.utils.format import format_event_handler

from assisters_app.base.crypto import fingerprint
from assisters_app.base.errors import Refused
from assisters_app.ui.binder import HEADER


class Tab:
    """One tab, opened with a cookie ("" for nobody)."""

    def __init__(self, processor: BaseStateEventProcessor, cookie: str = "", name: str = "tab") -> None:
        self.processor, self.name = processor, name
        self.headers = {"cookie": f"{HEADER}={fingerprint(cookie)}"} if cookie else {}

    async def send(self, handler, path="/dashboard", query=None, **payload):
        """Send one event and return all it brought to the browser, one value per var (the last one sent)."""
        router_data = {
            "pathname": path,
            "asPath": path + ("?" + urlencode(query) if query else ""),
            "query": query or {},
            "headers": self.headers,
            "token": self.name,
            "sid": "socket",
            "ip": "",
        }
        event = Event(name=format_event_handler(handler), payload=payload, router_data=router_data)
        shown = Shown()
        try:
            async for delta in self.processor.enqueue_stream_delta(self.name, event):
                shown.take(delta)
        except Refused as refused:  # the app tells it to the person; here it is what was said
            shown["", "message"] = str(refused)
        return shown

    async def state(self, cls):
        """Return what the server keeps of this tab."""
        manager = self.processor._root_context.state_manager
        root = await manager.get_state(BaseStateToken(ident=self.name, cls=cls))
        return await root.get_state(cls)


class Shown(dict):
    """What an event changed in the browser, by (state, var)."""

    def take(self, delta):
        """Add what one delta changed."""
        for state, changes in delta.items():
            own = state.rpartition(".")[2]
            self.update({(own, name.removesuffix("_rx_state_")): value for name, value in changes.items()})

    def of(self, cls):
        """Return the changed vars of one State."""
        own = cls.get_full_name().rpartition(".")[2]
        return {name: value for (state, name), value in self.items() if state == own}

    def said(self):
        """Return the message that was shown, "" for none."""
        return next((value for (_, name), value in reversed(self.items()) if name == "message" and value), "")
