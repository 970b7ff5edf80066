"""Documents that the server writes itself: they need no script to be read, and print as they are.

paper(title, *parts, status=200) -> Response      parts are HTML; whatever came from outside goes through `text`
refused_paper(refused) -> Response                 the same for a refusal, with the seconds to wait where there are some
said("A sentence.") -> str                        the first paragraph of a page
text("a < b") -> "a &lt; b"
"""

import base64
import hashlib
import html

from starlette.responses import HTMLResponse, Response

from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.ui.words import COMPANY, CONTACT, NAME

WIDE = 8  # columns that fit on a sheet of paper; a row of more is printed as a paragraph
STYLE = """
body{margin:0 auto;max-width:62rem;padding:2rem 1.25rem 4rem;overflow-wrap:anywhere}
h1{font-size:1.5rem;letter-spacing:-.02em;line-height:1.2;margin:1.5rem 0 .25rem;text-wrap:balance}
h2{font-size:1rem;letter-spacing:-.01em;margin:2.5rem 0 .25rem;padding-top:1.25rem;border-top:1px solid var(--line)}
p,ul,dl{margin:.5rem 0;max-width:46rem}a{color:var(--accent);text-underline-offset:2px}
ul{padding-left:1.1rem}.lead,dt,.small{color:var(--muted)}.small{font-size:.8125rem}
dl>div{display:flex;gap:.25rem 1.5rem;padding:.5rem 0;border-top:1px solid var(--line)}dl>div:first-child{border:0}
dt{flex:0 0 12rem}dd{margin:0;min-width:0}.head{display:flex;justify-content:space-between;align-items:center;gap:1rem}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.75rem 0 0;padding:.75rem 1rem;border:1px solid var(--line);
border-radius:.75rem;background:var(--surface);font:.8125rem/1.55 ui-monospace,monospace}.head a{color:inherit;font-weight:600;text-decoration:none;display:inline-flex;gap:.6rem;align-items:center}
button,.button{font:inherit;font-weight:500;border:0;border-radius:.5rem;padding:.55rem .9rem;background:var(--ink);
color:var(--inverse);cursor:pointer;text-decoration:none}
.acts button[value=now]{background:var(--bad)}
.field{max-width:26rem;margin:1rem 0}.field label{display:block;font-weight:500;margin-bottom:.25rem}
.field input{font:inherit;color:inherit;box-sizing:border-box;width:100%;padding:.5rem .75rem;border-radius:.5rem;
border:1px solid var(--strong);background:var(--surface)}
.acts{margin-top:1rem;display:flex;flex-wrap:wrap;gap:.5rem 1.25rem;align-items:center}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:.75rem;background:var(--surface);margin-top:.75rem}
table{border-collapse:collapse;font-size:.75rem;width:100%}caption{position:absolute;clip-path:inset(50%)}
th,td{text-align:left;vertical-align:top;padding:.45rem .75rem;border-top:1px solid var(--line)}
td>div{width:max-content;max-width:14rem}
tr:first-child th{border-top:0}th{color:var(--muted);font-weight:500;white-space:nowrap}td{font-variant-numeric:tabular-nums}
footer{margin-top:3rem;padding-top:1rem;border-top:1px solid var(--line);color:var(--faint);font-size:.75rem}
@media(max-width:40rem){dl>div{flex-direction:column}dt{flex:none}}
@media print{html,html.dark{--muted:#555;--faint:#666;--line:#ddd;--surface:#fff;--accent:#2a4fd0}
body{max-width:none;padding:0;background:#fff;color:#000}button,.button,[data-noprint]{display:none!important}
.scroll{overflow:visible;border:0;border-radius:0}table{font-size:6.5pt;table-layout:fixed}
th,td{padding:2pt}td>div{width:auto;max-width:none}
.wide thead{display:none}.wide tr{display:block;padding:3pt 0;border-top:1px solid #ddd}.wide td{border:0;padding:0 6pt 0 0}
.wide td,.wide td>div{display:inline}.wide td::before{content:attr(data-name) ": ";color:#666}
h2{break-after:avoid}tr{break-inside:avoid}header{display:flex!important}}
"""
# The theme one chose in the product, and a button that prints: what these pages do is all here.
SCRIPT = """
const chosen=localStorage.getItem('theme')
if(chosen==='dark'||(chosen!=='light'&&matchMedia('(prefers-color-scheme: dark)').matches))
document.documentElement.classList.add('dark')
addEventListener('DOMContentLoaded',()=>{for(const one of document.querySelectorAll('[data-print]')){
one.hidden=false;one.addEventListener('click',()=>print())}})
"""


def _hash(inline: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; style-src 'self' {_hash(STYLE)}; script-src {_hash(SCRIPT)}; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def paper(title: str, *parts: str, status: int = 200) -> Response:
    """Return a whole page with `parts` below its title. Nobody keeps a copy of it on the way."""
    ribbon = ' data-environment="development"' if settings().development else ""
    page = f"""<!doctype html><html lang="en"{ribbon}><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<title>{text(title)} · {NAME}</title><link rel="icon" href="/logo.svg"><link rel="stylesheet" href="/tokens.css">
<style>{STYLE}</style><script>{SCRIPT}</script></head><body>
<header class="head"><a href="/"><img src="/logo.svg" alt="" width="24" height="24">{NAME}</a></header>
<main><h1>{text(title)}</h1>{"".join(parts)}</main>
<footer>{text(COMPANY)} · {text(CONTACT)}</footer></body></html>"""
    return HTMLResponse(page, status, headers={"content-security-policy": POLICY, "cache-control": "no-store"})


def refused_paper(refused: Refused) -> Response:
    """Return the page of a refusal; when it was too much, with the seconds to wait (RFC 6585, 4)."""
    page = paper("That did not work", said(str(refused)), status=refused.status)
    if refused.retry_after:
        page.headers["retry-after"] = str(refused.retry_after)
    return page


def said(sentence: str) -> str:
    """Return the first paragraph of a page."""
    return f'<p class="lead">{text(sentence)}</p>'


def text(value: str) -> str:
    """Return `value` as text, whatever it holds."""
    return html.escape(value, quote=True)


def listed(values: tuple[str, ...]) -> str:
    """Return a list, one value to a line."""
    return "<ul>" + "".join(f"<li>{text(value)}</li>" for value in values) + "</ul>"


def pairs(*of: tuple[str, str]) -> str:
    """Return names with what belongs to them; the latter is HTML."""
    return "<dl>" + "".join(f"<div><dt>{text(name)}</dt><dd>{value}</dd></div>" for name, value in of) + "</dl>"


def grid(caption: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    """Return a table that scrolls sideways by itself."""
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    body = "".join(f"<tr>{_cells(columns, row)}</tr>" for row in rows)
    wide = " class='wide'" if len(columns) > WIDE else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{text(caption)}"><table{wide}>'
        f"<caption>{text(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cells(columns: tuple[str, ...], row: tuple[str, ...]) -> str:
    named = zip(columns, row, strict=True)
    return "".join(f'<td data-name="{text(name)}"><div>{text(cell)}</div></td>' for name, cell in named)
