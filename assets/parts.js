// The few parts that need the browser: they hold no data of their own and ask no server but ours.
import { createElement as h, useEffect, useId, useRef, useState, useSyncExternalStore } from "react";
import { Link, useLocation, useNavigate } from "react-router";

// ---- time, in the viewer's zone -------------------------------------------------------------------------------

let settled = ""; // the zone of the person's settings; "" for the browser's own
const clocks = new Set();
const follow = (again) => { clocks.add(again); return () => clocks.delete(again); };

function known(zone) {
  try { return zone && new Intl.DateTimeFormat("en", { timeZone: zone }) ? zone : ""; } catch { return ""; } // newer than this browser
}

// Tells every moment on the page in which zone the person wants to read it.
export function Zone({ name }) {
  useEffect(() => {
    const wanted = known(name);
    if (wanted === settled) return;
    settled = wanted;
    clocks.forEach((again) => again());
  }, [name]);
  return null;
}

let awake = false; // false until the first page is hydrated: until then times are written in UTC, as the server did

const FORMS = {
  datetime: { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" },
  precise: { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
  date: { year: "numeric", month: "short", day: "numeric" },
  time: { hour: "2-digit", minute: "2-digit" },
};
const STEPS = [["year", 31557600], ["month", 2629800], ["week", 604800], ["day", 86400], ["hour", 3600], ["minute", 60]];

function ago(date) {
  const seconds = (date - Date.now()) / 1000;
  const words = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
  for (const [unit, size] of STEPS) {
    if (Math.abs(seconds) >= size) return words.format(Math.round(seconds / size), unit);
  }
  return "just now";
}

export function LocalTime({ at, kind = "datetime", otherwise = "—", ...rest }) {
  const [, again] = useState(0);
  const [local, settle] = useState(awake);
  const chosen = useSyncExternalStore(follow, () => settled, () => "");
  useEffect(() => { awake = true; settle(true); }, []);
  useEffect(() => {
    if (kind !== "ago") return undefined;
    const timer = setInterval(() => again((n) => n + 1), 30000);
    return () => clearInterval(timer);
  }, [kind]);
  const date = at ? new Date(at) : null;
  if (!date || Number.isNaN(date.getTime())) return h("span", rest, otherwise);
  const utc = date.toISOString().replace("T", " ").replace(/(\.\d+)?Z$/, " UTC");
  const whole = kind === "date" && date.getTime() % 86400000 === 0; // a day, held as its midnight in UTC: the same for all
  const zone = { timeZone: local && !whole ? chosen || undefined : "UTC" };
  const text = kind === "ago" && local ? ago(date)
    : new Intl.DateTimeFormat(local ? undefined : "en", { ...(FORMS[kind] ?? FORMS.datetime), ...zone }).format(date);
  return h("time", { dateTime: date.toISOString(), title: utc, suppressHydrationWarning: true, ...rest }, text);
}

// Calls `onReady` with the viewer's time zone each time the page's state has been loaded.
export function Viewer({ ready, onReady }) {
  useEffect(() => {
    if (ready) onReady(Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC");
  }, [ready]); // eslint-disable-line
  return null;
}

// Calls `onBeat` at once and then every `every` milliseconds, while its place on the page is in view and the tab in front.
export function Pulse({ every, onBeat }) {
  const place = useRef(null);
  useEffect(() => {
    let timer = 0;
    let seen = false;
    const beat = () => {
      const wanted = seen && document.visibilityState === "visible";
      if (wanted && !timer) { onBeat(); timer = setInterval(onBeat, every); }
      if (!wanted) { clearInterval(timer); timer = 0; }
    };
    const eye = new IntersectionObserver(([entry]) => { seen = entry.isIntersecting; beat(); });
    eye.observe(place.current);
    document.addEventListener("visibilitychange", beat);
    return () => { clearInterval(timer); eye.disconnect(); document.removeEventListener("visibilitychange", beat); };
  }, [every]); // eslint-disable-line
  return h("span", { ref: place, "aria-hidden": true });
}

// ---- numbers, as the viewer writes them ------------------------------------------------------------------------

export function LocalNumber({ value, compact, otherwise = "—", ...rest }) {
  const [local, settle] = useState(awake);
  useEffect(() => { awake = true; settle(true); }, []);
  if (value === null || value === undefined || value === "") return h("span", rest, otherwise);
  const words = new Intl.NumberFormat(local ? undefined : "en",
    compact ? { notation: "compact", maximumFractionDigits: 1 } : {});
  const exact = new Intl.NumberFormat(local ? undefined : "en").format(value);
  return h("span", { title: compact ? exact : undefined, suppressHydrationWarning: true, ...rest }, words.format(value));
}

// ---- copy ---------------------------------------------------------------------------------------------------------

async function write(text) {
  if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea"); // plain http on another machine: no clipboard there
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  return undefined;
}

export function Copy({ text, label = "Copy", children, ...rest }) {
  const [done, tell] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = async () => {
    await write(text);
    tell(true);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => tell(false), 2000);
  };
  return h("button", { type: "button", onClick: copy, "aria-label": children ? undefined : label, title: label, ...rest },
    h("svg", { width: 14, height: 14, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2,
      strokeLinecap: "round", strokeLinejoin: "round", "aria-hidden": true },
      done ? h("path", { d: "M20 6 9 17l-5-5" })
        : [h("rect", { key: 1, x: 9, y: 9, width: 12, height: 12, rx: 2 }),
           h("path", { key: 2, d: "M5 15V5a2 2 0 0 1 2-2h10" })]),
    children,
    h("span", { role: "status", className: "sr-only" }, done ? "Copied" : ""));
}

// ---- dialogs ----------------------------------------------------------------------------------------------------

const outside = (event, box) => {
  const edge = box.getBoundingClientRect();
  return event.target === box && (event.clientX < edge.left || event.clientX > edge.right
    || event.clientY < edge.top || event.clientY > edge.bottom);
};

// A modal whose being open is the page's State. Escape, the cross and a click beside it ask `onClose`.
export function Modal({ open, onClose, title, description, children, className }) {
  const box = useRef(null);
  const name = useId();
  useEffect(() => {
    if (open && !box.current.open) {
      box.current.showModal();
      box.current.querySelector("input:not([type=hidden]), select, textarea")?.focus();
    }
    if (!open && box.current.open) box.current.close();
  }, [open]);
  const close = () => { box.current.close(); onClose?.(); };
  return h("dialog", {
    ref: box, className, "aria-labelledby": name,
    onCancel: (event) => { if (event.target === box.current) { event.preventDefault(); close(); } },
    onMouseDown: (event) => { if (outside(event, box.current)) close(); },
  }, open ? h("div", { className: "p-5 sm:p-6" },
    h("div", { className: "flex items-start justify-between gap-4" },
      h("h2", { id: name, className: "text-base font-semibold tracking-tight" }, title),
      h("button", { type: "button", onClick: close, "aria-label": "Close",
        className: "-m-1.5 p-1.5 rounded-md text-muted hover:text-ink hover:bg-raised" },
        h("svg", { width: 16, height: 16, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2,
          strokeLinecap: "round", "aria-hidden": true }, h("path", { d: "M18 6 6 18M6 6l12 12" })))),
    description ? h("p", { className: "mt-1 text-muted" }, description) : null,
    h("div", { className: "mt-4" }, children)) : null);
}

// The sidebar of a narrow screen: a modal drawer that closes itself when a link in it is followed.
export function Drawer({ label, button, children, className, buttonClass }) {
  const box = useRef(null);
  return h("div", { className: "contents" },
    h("button", { type: "button", className: buttonClass, "aria-label": label, "aria-haspopup": "dialog",
      onClick: () => box.current.showModal() }, button),
    h("dialog", {
      ref: box, className: `drawer ${className}`, "aria-label": label,
      onClick: (event) => {
        if (outside(event, box.current) || event.target.closest("a")) box.current.close();
      },
    }, children));
}

// ---- navigation ----------------------------------------------------------------------------------------------------

// A link that says (`aria-current`) whether it leads to the page one is on; with `end`, not to a page below it. Pages are
// drawn ahead under an address with a slash at its end, which means nothing here.
export function NavItem({ to, end = false, children, ...rest }) {
  const path = useLocation().pathname.replace(/\/+$/, "") || "/";
  const here = path === to || (!end && path.startsWith(`${to}/`));
  return h(Link, { to, "aria-current": here ? "page" : undefined, ...rest }, children);
}

// ---- the command palette ------------------------------------------------------------------------------------------

export function Palette({ items = [], rights = [], buttonClass, onTheme }) {
  const go = useNavigate();
  const box = useRef(null);
  const [text, type] = useState("");
  const [at, move] = useState(0);
  const list = useId();
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const named = (item) => words.every((word) => item.label.toLowerCase().includes(word));
  const found = items.filter((item) => (!item.right || rights.includes(item.right))
    && words.every((word) => `${item.label} ${item.group} ${item.words ?? ""}`.toLowerCase().includes(word)))
    .sort((one, other) => named(other) - named(one)); // what is called so stands before what is only about it
  const show = () => { if (box.current?.open === false) { type(""); move(0); box.current.showModal(); } }; // null while a page gives way to another
  useEffect(() => {
    const listen = (event) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") { event.preventDefault(); show(); }
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
  const pick = (item) => {
    if (!item) return;
    box.current.close();
    if (item.act === "theme") onTheme?.();
    else if (item.load) window.location.assign(item.href);
    else go(item.href);
  };
  const keys = (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && found.length) {
      event.preventDefault();
      move((at + steps[event.key] + found.length) % found.length);
    }
    if (event.key === "Enter") { event.preventDefault(); pick(found[at]); }
  };
  useEffect(() => { document.getElementById(`${list}-${at}`)?.scrollIntoView({ block: "nearest" }); }, [at]);
  return h("div", { className: "contents" },
    h("button", { type: "button", onClick: show, className: buttonClass, "aria-haspopup": "dialog", "aria-keyshortcuts": "Control+K Meta+K" },
      h("svg", { width: 15, height: 15, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2,
        strokeLinecap: "round", "aria-hidden": true }, h("circle", { cx: 11, cy: 11, r: 7 }), h("path", { d: "m20 20-4-4" })),
      h("span", { className: "sr-only sm:not-sr-only" }, "Search"),
      h("kbd", { className: "hidden lg:inline ml-auto pl-6 font-sans text-xs text-faint", "aria-hidden": true }, "Ctrl K")),
    h("dialog", { ref: box, "aria-label": "Search and commands", className: "palette w-[92vw] max-w-lg rounded-xl border border-line bg-surface shadow-over overflow-hidden",
      onMouseDown: (event) => { if (outside(event, box.current)) box.current.close(); } },
      h("input", { type: "text", role: "combobox", "aria-expanded": true, "aria-controls": list, "aria-autocomplete": "list",
        "aria-activedescendant": found.length ? `${list}-${at}` : undefined, "aria-label": "Search pages and commands",
        placeholder: "Where to?", autoComplete: "off", spellCheck: false, value: text, onKeyDown: keys,
        onChange: (event) => { type(event.target.value); move(0); },
        className: "block w-full h-12 px-4 text-base bg-transparent border-b border-line outline-none" }),
      h("ul", { id: list, role: "listbox", "aria-label": "Results", className: "max-h-[50dvh] overflow-y-auto p-1.5" },
        found.map((item, n) => h("li", {
          key: item.label, id: `${list}-${n}`, role: "option", "aria-selected": n === at, onClick: () => pick(item),
          onMouseMove: () => move(n),
          className: `flex items-center justify-between gap-4 rounded-lg px-3 h-10 ${n === at ? "bg-raised text-ink" : "text-muted"}`,
        }, h("span", { className: "truncate" }, item.label), h("span", { className: "text-xs text-faint" }, item.group)))),
      found.length ? null : h("p", { className: "px-4 pb-4 text-muted" }, "Nothing has that name."),
      h("p", { role: "status", className: "sr-only" }, `${found.length} results`)));
}

// ---- messages -------------------------------------------------------------------------------------------------------

// Good news leaves by itself, bad news stays until it is closed. A popover, so that it stands above an open dialog too;
// a moment late, so that one of a page before, which the server is about to take back, is never seen.
export function Message({ text, tone, number }) {
  const [shown, show] = useState(false);
  const box = useRef(null);
  useEffect(() => {
    show(false);
    if (!text) return undefined;
    const timers = [setTimeout(() => show(true), 80)];
    if (tone !== "bad") timers.push(setTimeout(() => show(false), 6000));
    return () => timers.forEach(clearTimeout);
  }, [text, number]);
  useEffect(() => { if (shown) box.current?.showPopover?.(); }, [shown]);
  return h("div", { role: "status", "aria-live": "polite" },
    shown ? h("div", { ref: box, popover: "manual",
      className: "fixed z-50 bottom-10 inset-x-4 w-auto sm:left-auto sm:right-6 sm:w-96 flex items-start gap-3 rounded-xl border border-line bg-surface text-ink shadow-over p-4" },
      h("span", { "aria-hidden": true, className: `mt-1.5 size-2 shrink-0 rounded-full ${tone === "bad" ? "bg-bad" : "bg-good"}` }),
      h("p", { className: "flex-1" }, text),
      h("button", { type: "button", onClick: () => show(false), "aria-label": "Close message", className: "-m-1 p-1 rounded text-muted hover:text-ink" },
        h("svg", { width: 14, height: 14, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", strokeWidth: 2, strokeLinecap: "round", "aria-hidden": true },
          h("path", { d: "M18 6 6 18M6 6l12 12" })))) : null);
}

// ---- forms that the browser could send by itself ------------------------------------------------------------------

// Posts to an address of ours, shows a refusal beside its field, and loads the next page in full: the new page's socket
// carries the new cookie. Without JavaScript the browser posts the same form and gets a page as the answer.
export function PostForm({ action, children, className }) {
  const [refusal, refuse] = useState("");
  const [busy, work] = useState(false);
  const form = useRef(null);
  const stand = useRef(null); // where the focus goes once the fields, which are shut while a form is sent, are open again
  const name = useId();
  const mark = (field) => {
    for (const input of form.current.elements) {
      if (!input.name) continue;
      const wrong = Boolean(field) && input.name === field;
      if (wrong) { input.setAttribute("aria-invalid", "true"); input.setAttribute("aria-describedby", name); stand.current = input; }
      else if (input.getAttribute("aria-describedby") === name) { input.removeAttribute("aria-invalid"); input.removeAttribute("aria-describedby"); }
    }
  };
  const send = async (event) => {
    event.preventDefault();
    if (busy) return;
    stand.current = document.activeElement;
    work(true);
    refuse("");
    mark("");
    let answer;
    try {
      const data = new URLSearchParams(new FormData(form.current, event.nativeEvent.submitter));
      const reply = await fetch(action, { method: "POST", body: data, headers: { Accept: "application/json" } });
      answer = await reply.json();
    } catch {
      answer = { refused: "That did not reach us. Check the connection and try again." };
    }
    if (answer.next) { window.location.assign(answer.next); return; }
    mark(answer.field);
    work(false);
    refuse(answer.refused ?? "That did not work. Please try again.");
  };
  useEffect(() => { if (!busy) { stand.current?.focus(); stand.current = null; } }, [busy]);
  useEffect(() => { // back to a page from the browser's memory: the form is ready again
    const wake = () => work(false);
    window.addEventListener("pageshow", wake);
    return () => window.removeEventListener("pageshow", wake);
  }, []);
  return h("form", { ref: form, action, method: "post", onSubmit: send, "aria-busy": busy },
    h("p", { id: name, role: "alert", className: refusal ? "mb-4 rounded-lg bg-bad-soft text-bad px-3 py-2" : "sr-only" }, refusal),
    h("fieldset", { disabled: busy, className }, children));
}

// Writes a query parameter into a hidden field or a line of text, so that it need not enter the State.
export function QueryField({ name }) {
  const [value, read] = useState("");
  useEffect(() => read(new URLSearchParams(window.location.search).get(name) ?? ""), [name]);
  return h("input", { type: "hidden", name, value });
}

const WORTH = ["bg-bad", "bg-bad", "bg-warn", "bg-good", "bg-good"];

export function PasswordInput({ className, children, meter, ...rest }) {
  const [plain, show] = useState(false);
  const [verdict, judge] = useState(null);
  const timer = useRef(0);
  const asked = useRef(0);
  const weigh = (input) => {
    clearTimeout(timer.current);
    const turn = ++asked.current;
    if (!input.value) { judge(null); return; }
    timer.current = setTimeout(async () => {
      const email = input.form?.elements.namedItem("email")?.value ?? "";
      try {
        const reply = await fetch(meter, { method: "POST", headers: { Accept: "application/json" },
          body: new URLSearchParams({ password: input.value, email }) });
        if (reply.ok && turn === asked.current) judge(await reply.json());
      } catch { /* the meter is a help; the form itself is judged when it is sent */ }
    }, 250);
  };
  useEffect(() => () => clearTimeout(timer.current), []);
  return h("span", { className: "block" },
    h("span", { className: "relative block" },
      h("input", { type: plain ? "text" : "password", className, ...rest,
        onInput: meter ? (event) => weigh(event.target) : undefined }),
      h("button", { type: "button", onClick: () => show(!plain), "aria-pressed": plain, "aria-label": "Show password",
        className: "absolute right-1 top-1/2 -translate-y-1/2 px-2 h-7 rounded text-xs text-muted hover:text-ink" }, plain ? "Hide" : "Show")),
    meter ? h("span", { className: "mt-2 flex gap-1", "aria-hidden": true }, [0, 1, 2, 3].map((n) => h("span", { key: n,
      className: `h-1 flex-1 rounded-full ${verdict && n < Math.max(verdict.score, 1) ? WORTH[verdict.score] : "bg-line"}` }))) : null,
    meter ? h("span", { role: "status", className: "mt-1.5 block min-h-5 text-[0.8125rem] text-muted" },
      verdict ? verdict.problem ?? "Strong enough." : rest["data-hint"]) : null);
}

// ---- the reference's list of places ---------------------------------------------------------------------------------

// The table of contents, of which only what was looked for is left. On a narrow screen it is folded away.
export function Finder({ places = [], label, hint }) {
  const [text, type] = useState("");
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = places.filter((place) => (words.length || !place.quiet) && words.every((word) =>
    `${place.title} ${place.group} ${place.words}`.toLowerCase().includes(word)));
  const groups = [...new Set(found.map((place) => place.group))];
  return h("search", { className: "block" },
    h("input", { type: "search", "aria-label": label, placeholder: hint, autoComplete: "off", spellCheck: false,
      value: text, onChange: (event) => type(event.target.value),
      onKeyDown: (event) => { if (event.key === "Enter" && found.length) window.location.hash = found[0].id; },
      className: "block w-full h-9 px-3 rounded-lg border border-strong bg-surface outline-offset-2" }),
    h("nav", { "aria-label": "On this page", className: `mt-4 space-y-4 ${text ? "" : "hidden lg:block"}` },
      groups.map((group) => h("div", { key: group },
        h("p", { className: "text-xs font-medium text-faint" }, group),
        h("ul", { className: "mt-1" }, found.filter((place) => place.group === group).map((place) => h("li", { key: place.id },
          h("a", { href: `#${place.id}`, className: "block truncate rounded-md px-2 -mx-2 py-1 text-[0.8125rem] text-muted hover:bg-raised hover:text-ink" },
            place.title))))))),
    found.length ? null : h("p", { className: "mt-4 text-muted" }, "Nothing has that name."),
    h("p", { role: "status", className: "sr-only" }, text ? `${found.length} places` : ""));
}
