"""Webhooks: signed as Stripe signs them, delivered at least once, retried, and spoiled on request."""

import asyncio
import json
from dataclasses import dataclass, field
from functools import partial

import httpx
from stripe import WebhookSignature

from assisters_app.doubles.stripe.books import Books, seen
from assisters_app.doubles.stripe.wire import Thing

ATTEMPTS = 10
LONGEST_WAIT = 60.0  # seconds between two attempts
TIMEOUT = 10.0  # seconds for the receiver to answer


@dataclass(slots=True)
class Courier:
    """Carries events to one URL. Faults: `held` until released, `copies` of each, `reversed` order."""

    books: Books
    url: str | None
    secret: str
    held: bool = False
    copies: int = 1
    reversed: bool = False
    log: list[Thing] = field(default_factory=list)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def wake(self, *, again: bool = False) -> None:
        """Deliver what is new in the background, or (`again`) what failed before too; nothing while held."""
        if self.books.waiting and not self.held and self.url:
            task = asyncio.create_task(self.deliver(again=again))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def deliver(self, *, again: bool = True) -> None:
        """Attempt each waiting delivery once, or only the new ones; what fails waits for its next attempt."""
        async with self._lock:
            if not self.url:
                return
            due = [delivery for delivery in self.books.waiting if again or not delivery["attempts"]]
            self.books.waiting = [delivery for delivery in self.books.waiting if delivery not in due]
            if self.reversed:
                due.reverse()
            # trust_env is off so that a proxy in the environment is not asked to reach loopback
            async with httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
                failed = [delivery for delivery in due if not await self._attempt(client, delivery)]
            self.books.waiting = [d for d in failed if d["attempts"] < ATTEMPTS] + self.books.waiting
            self.books.save()
        if failed:
            asyncio.get_running_loop().call_later(self._patience(failed), partial(self.wake, again=True))

    async def close(self) -> None:
        """Let what is being delivered arrive."""
        await asyncio.gather(*self._tasks)

    async def _attempt(self, client: httpx.AsyncClient, delivery: Thing) -> bool:
        event = self.books.objects[delivery["event"]]
        delivery["attempts"] += 1
        statuses = [await self._post(client, event) for _ in range(self.copies)]
        arrived = any(status is not None and 200 <= status < 300 for status in statuses)  # noqa: PLR2004 (HTTP success)
        event["pending_webhooks"] = 0 if arrived else 1
        self.log.append({"event": event["id"], "type": event["type"], "statuses": statuses})
        return arrived

    async def _post(self, client: httpx.AsyncClient, event: Thing) -> int | None:
        body = json.dumps(seen(event), indent=2)
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": WebhookSignature.generate_signature_header(body, self.secret),
            "User-Agent": "Stripe/1.0 (test stand-in)",
        }
        try:
            answer = await client.post(str(self.url), content=body.encode(), headers=headers)
        except httpx.HTTPError:
            return None
        return answer.status_code

    @staticmethod
    def _patience(failed: list[Thing]) -> float:
        return float(min(2.0 ** min(d["attempts"] for d in failed), LONGEST_WAIT))
