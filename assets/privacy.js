// What only the browser can tell about privacy: the signal it sends, and what lies in its storage.
import { createElement as h, useEffect, useState } from "react";

// Whether this browser sends Global Privacy Control, as our server reads it.
export function PrivacySignal({ className }) {
  const [said, tell] = useState(null);
  useEffect(() => {
    let here = true;
    fetch("/download/gpc.json").then((reply) => reply.json()).then((reply) => here && tell(reply)).catch(() => {});
    return () => { here = false; };
  }, []);
  const text = said === null ? "Looking …"
    : said.signalled ? `Opt-out signal honoured: your browser sends Global Privacy Control.${said.recorded ? " It is written down with your account." : ""}`
      : "Your browser sends no opt-out signal (Global Privacy Control).";
  return h("p", { role: "status", className }, text);
}

const box = (kind) => (kind === "session" ? window.sessionStorage : window.localStorage);

// Whether one thing of the inventory is on this device now, and a button that removes it where that harms nothing.
export function OnDevice({ identifier, kind, className, buttonClass }) {
  const [here, tell] = useState(null);
  const look = () => tell(kind === "cookie" ? undefined : box(kind).getItem(identifier) !== null);
  useEffect(look, [identifier, kind]);
  if (here === null) return h("span", { className }, "…");
  if (here === undefined) return h("span", { className }, "Hidden from scripts, ours too");
  if (!here) return h("span", { className }, "Not now");
  if (kind !== "local") return h("span", { className }, "Yes");
  const remove = () => { box(kind).removeItem(identifier); look(); };
  return h("span", { className: `inline-flex items-center gap-2 ${className}` }, "Yes",
    h("button", { type: "button", className: buttonClass, onClick: remove, "aria-label": `Clear ${identifier}` }, "Clear"));
}

// How long until a moment, to the minute when it is near.
export function Until({ at, className }) {
  const [, again] = useState(0);
  const [awake, wake] = useState(false);
  useEffect(() => {
    wake(true);
    const timer = setInterval(() => again((n) => n + 1), 15000);
    return () => clearInterval(timer);
  }, []);
  const minutes = Math.max(0, Math.floor((new Date(at) - Date.now()) / 60000));
  const parts = [[Math.floor(minutes / 1440), "day"], [Math.floor(minutes / 60) % 24, "hour"], [minutes % 60, "minute"]]
    .filter(([count], n) => count > 0 || n === 2);
  const text = parts.slice(0, 2).map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`).join(", ");
  return h("span", { className, role: "timer", suppressHydrationWarning: true }, awake ? text : "");
}

// A link to a file that is handed out only soon after one has proven who one is: later it leads to where that is done.
export function FreshLink({ href, until, otherwise, className, label, onClick, children }) {
  const check = (event) => {
    if (Date.now() < new Date(until).getTime()) { onClick?.(event); return; }
    event.preventDefault();
    window.location.assign(otherwise);
  };
  if (!until) return h("a", { className, role: "link", "aria-disabled": "true", "aria-label": label }, children); // not known yet
  return h("a", { href, download: "", className, onClick: check, "aria-label": label }, children);
}
