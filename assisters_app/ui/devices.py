"""What a browser calls itself, in two words that its owner recognises."""

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def device(user_agent: str) -> str:
    """Return "Firefox on Linux" for a User-Agent header, or its first word when it is not one we know."""
    browser, system = _found(user_agent, BROWSERS), _found(user_agent, SYSTEMS)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or user_agent.split("/", maxsplit=1)[0][:40] or "Unknown browser"


def _found(user_agent: str, names: tuple[tuple[str, str], ...]) -> str:
    return next((name for mark, name in names if mark in user_agent), "")
