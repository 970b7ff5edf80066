"""What the policy's section 7 says of cookies, looked at in the running system."""

from datetime import timedelta

from assisters_app.base.db import Tx
from assisters_app.base.settings import settings
from assisters_app.privacy import promises
from assisters_app.privacy.choices import cookies
from assisters_app.ui import serving
from assisters_app.ui.cookie import LINK, OAUTH, SESSION, written
from assisters_app.ui.pages import by_route

OURS = ("'self'", "'none'", "'unsafe-inline'", "data:", "blob:")  # what a policy may allow and stay with us
LEAVING = (
    "form-action"  # the one directive that names others: a form leads to Stripe's page when one presses its button
)


@promises.check(
    "7.1", says="Each cookie is set by the server, out of reach of scripts, for this host alone, over TLS only."
)
async def cookies_are_essential(tx: Tx) -> str:  # noqa: ARG001 (the header itself is what is looked at)
    """Read the header that sets each cookie as a browser would."""
    listed = {one.identifier for one in cookies.stored() if one.type == "cookie" and one.exempt}
    wanted = {"httponly", "samesite=lax", "path=/", *(("secure",) if settings().https else ())}
    for what in (SESSION, LINK, OAUTH):
        pair, *rest = (part.strip().lower() for part in written(what, "value", timedelta(days=1)).split(";"))
        name = settings().cookie_name(what)
        if pair != f"{name}=value".lower() or name not in listed:
            raise promises.Broken(f"The cookie {name} is not the essential one that the cookie page lists.")
        if missing := wanted - set(rest):
            raise promises.Broken(f"The cookie {name} is set without {', '.join(sorted(missing))}.")
        if any(part.startswith("domain=") for part in rest):
            raise promises.Broken(f"The cookie {name} is sent to other hosts, too.")
    return f"{len(listed)} cookies, all essential; " + (
        "over TLS only." if settings().https else "this is no TLS address."
    )


@promises.check("7.2", says="Nothing that is stored needs consent, and no page may load anything from elsewhere.")
async def nothing_tracks(tx: Tx) -> str:  # noqa: ARG001 (as above)
    """Read the list of what is stored, and the policy that every page is sent with."""
    if cookies.needs_banner():
        raise promises.Broken("Something is stored that needs consent first.")
    directives = [part.split() for part in serving.policy(b"").decode().split(";") if part.strip()]
    for name, *sources in directives:
        others = [one for one in sources if one not in OURS and not one.startswith("'sha256-")]
        if name != LEAVING and others:
            raise promises.Broken(f"Pages may use {', '.join(others)} ({name}).")
    return f"{len(cookies.stored())} things may be stored, none of them optional; pages load from this host alone."


@promises.check("7.3", says="The cookie page exists and shows the whole list of what may be stored.")
async def the_cookie_page_is_there(tx: Tx) -> str:  # noqa: ARG001 (as above)
    """Compare the page's list with the one that programs read."""
    page, shown = by_route("/cookies"), cookies.listed()
    if page is None or page.access != "public":
        raise promises.Broken("There is no cookie page for everyone.")
    disclosed = [one["identifier"] for one in cookies.as_json()["disclosures"]]
    if disclosed != [one["identifier"] for one in shown] or not all(one["purpose"] and one["until"] for one in shown):
        raise promises.Broken("The lists of what is stored do not agree.")
    return f"It lists {len(shown)} things with what for, how long, and whether consent is needed."
