"""What somebody asked for by mail, done by a link to their own mailbox: a copy, an export, a correction, an erasure.

The link's token is in a cookie before anything of the page is asked for (`serving`), so neither the browser's history
nor a log holds it. Nobody has to be signed in. What each link does, and for how long, stands in `rights.by_mail`.
"""

from collections.abc import Sequence
from datetime import timedelta

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from assisters_app.accounts.throttling import Limit, attempt
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.base.secrets import Secret
from assisters_app.privacy.rights import by_mail
from assisters_app.ui.auth_routes import client, field_text, forget_link, link_token, require_ours
from assisters_app.ui.cookie import LINK, set_cookie
from assisters_app.ui.papers import paper, refused_paper, said, text
from assisters_app.ui.privacy_routes import PRIVATE, as_pdf, streamed

BY_LINK = Limit("rights-by-link", 60, timedelta(minutes=10))  # by one address on the net
PATH = "/rights"
FIELDS = {
    "name": "Your name",
    "organization": "Name of your organization",
    "email": "New e-mail address, if it is to change",
}


async def by_link(request: Request) -> Response:
    """Show what a link does, and do it once its button is pressed: programs follow links in mail."""
    try:
        await attempt(BY_LINK, client(request).place)
        token = link_token(request)
        if request.method in ("GET", "HEAD"):
            async with transaction() as tx:
                return _may_take(await by_mail.asked(tx, token))
        require_ours(request)
        return await _taken(request, token, await request.form(max_files=0, max_fields=8))
    except Refused as refused:
        return refused_paper(refused)


async def _taken(request: Request, token: str, form: FormData) -> Response:
    do = field_text(form, "do")
    if do == "export":
        async with transaction() as tx:
            begun, again = await by_mail.take_export(tx, token)
        return _once_more(streamed(begun), again)
    if do == "access":
        async with transaction() as tx:
            copy, again = await by_mail.take_copy(tx, token)
            printed = await as_pdf(copy)  # before the link is used up: nobody has what could not be printed
        return _once_more(printed, again)
    if do == "correction":
        wanted = by_mail.Wanted(*(field_text(form, name) for name in FIELDS))
        async with transaction() as tx:
            corrected = await by_mail.correct(tx, token, wanted, client(request))
        return forget_link(_corrected(corrected))
    if do not in ("later", "now"):
        raise Refused("Choose what is to be done.", code="no_choice")
    async with transaction() as tx:
        closing = await by_mail.erase(tx, token, later=do == "later")
    to = f"/receipts/{closing.receipt}" if closing.now else "/closed"
    return forget_link(RedirectResponse(to, 303, headers=PRIVATE))


def _once_more(response: Response, again: Secret) -> Response:
    """Let this browser, and no other, begin a download again that broke off."""
    set_cookie(response, LINK, again, by_mail.AGAIN)
    return response


def _may_take(offer: by_mail.Offer) -> Response:
    for_whom = f"For the account of {offer.address}."
    if offer.right == "correction":
        present = {"name": offer.name, "organization": offer.organization}
        fields = "".join(_field(name, label, present.get(name, "")) for name, label in FIELDS.items())
        acts = _acts([("correction", "Correct it")])
        return paper("What is to be corrected?", said(f"{for_whom} {_CORRECTING}"), _form(fields + acts + _BY_HAND))
    if offer.right == "deletion":
        later = [] if offer.suspended else [("later", "Close it, with time to change my mind")]
        acts = _acts([*later, ("now", "Erase everything now")])
        return paper("Erase your account?", said(f"{for_whom} {_ERASING}"), _form(acts))
    title, words = ("Your copy", _COPY) if offer.right == "access" else ("Your export", _EXPORT)
    return paper(title, said(f"{for_whom} {words}"), _form(_acts([(offer.right, "Download it")])), _ONCE)


def _corrected(corrected: by_mail.Corrected) -> Response:
    title = "It is corrected" if corrected.done else "Both addresses have to say yes"
    done = said(f"Changed: {' and '.join(corrected.done)}.") if corrected.done else ""
    asked = said(_BOTH.format(corrected.asked)) if corrected.asked else ""
    return paper(title, done, asked)


def _form(inside: str) -> str:
    return f'<form method="post" action="{PATH}">{inside}</form>'


def _acts(buttons: Sequence[tuple[str, str]]) -> str:
    made = "".join(
        f'<button type="submit" name="do" value="{text(do)}">{text(label)}</button>' for do, label in buttons
    )
    return f'<p class="acts">{made}</p>'


def _field(name: str, label: str, value: str) -> str:
    kind, fill = ("email", "email") if name == "email" else ("text", name)
    return (
        f'<p class="field"><label for="{name}">{text(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" autocomplete="{fill}" maxlength="254" value="{text(value)}"></p>'
    )


_COPY = "Everything that we hold about you, to read and to print (PDF), with why, for how long and who receives it."
_EXPORT = "Everything that we hold about you, in files for programs (ZIP), with their descriptions and our signature."
_ERASING = (
    "Your API keys and sign-ins end at once, and what the law lets go of is erased. What it makes us keep stays without "
    "your name; the receipt, which we mail you, lists it table by table with its end."
)
_CORRECTING = "Change what is wrong and leave the rest as it is. Who holds the old value for us is told."
_BOTH = (
    "The address becomes {} once it has been confirmed from both mailboxes, the present one and the new one. A link is on "
    "its way to each; it works for a day."
)
_ONCE = (
    '<p class="small">The link in our mail works once. If the download breaks off, press the button again in this browser '
    "within ten minutes; after that, answer our mail, and you get another link.</p>"
)
_BY_HAND = (
    '<p class="small">If something else is wrong, such as an invoice, or if you cannot read your mail any more, answer our '
    "mail: a person takes care of it.</p>"
)

ROUTES: list[BaseRoute] = [Route(PATH, by_link, methods=["GET", "POST"])]
