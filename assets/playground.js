// The playground: a chat that lives in this tab alone. It calls the API itself, as any client does, with a ticket for one
// of the person's own keys; nothing of it goes into the State, into storage or to anybody else.
import { createElement as h, useEffect, useMemo, useRef, useState } from "react";
import { Copy } from "$/public/parts.js";

const BOX = "block w-full rounded-lg border border-strong/60 bg-surface px-3 text-base sm:text-sm hover:border-strong focus:border-accent disabled:opacity-60 ";
const LINE = BOX + "h-10 sm:h-9 ";
const BUTTON = "inline-flex items-center justify-center gap-2 rounded-lg font-medium whitespace-nowrap select-none transition-colors disabled:opacity-50 h-9 px-3.5 text-sm ";
const PRIMARY = BUTTON + "bg-ink text-inverse hover:bg-ink/85 ";
const SECONDARY = BUTTON + "border border-line bg-surface text-ink shadow-card hover:bg-raised ";
const CARD = "rounded-xl border border-line bg-surface shadow-card min-w-0 ";
const LATE = 5; // seconds before its end at which a ticket is not used any more

// ---- asking ---------------------------------------------------------------------------------------------------------

class Problem extends Error {
  constructor(sentence, code = "") { super(sentence); this.code = code; }
}

async function newTicket(key) {
  const reply = await fetch("/playground/ticket", { method: "POST", headers: { Accept: "application/json" },
    body: new URLSearchParams({ key }) });
  const told = await reply.json();
  if (!told.ticket) throw new Problem(told.refused ?? "That did not work. Please try again.", told.code);
  return { key, text: told.ticket, until: Date.now() + (told.seconds - LATE) * 1000 };
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (pending + value).split("\n");
    pending = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data:") && line.slice(5).trim() !== "[DONE]") yield JSON.parse(line.slice(5));
    }
  }
}

// Asks for an answer and tells `hear` of each step: { id }, { text }, { usage }. Rejects with a Problem, or when stopped.
async function ask(ticket, request, signal, hear) {
  const reply = await fetch("/v1/chat/completions", { method: "POST", signal, credentials: "omit",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${ticket}` }, body: JSON.stringify(request) });
  hear({ id: reply.headers.get("x-request-id") ?? "" });
  if (!reply.ok) {
    const told = await reply.json().catch(() => ({}));
    throw new Problem(told.error?.message ?? "The API did not answer as it should. Please try again.", told.error?.code);
  }
  for await (const event of events(reply.body)) {
    if (event.error) throw new Problem(event.error.message ?? "The answer broke off.", event.error.code);
    const text = event.choices?.[0]?.delta?.content;
    if (text) hear({ text });
    if (event.usage) hear({ usage: event.usage });
  }
}

// ---- what is asked ----------------------------------------------------------------------------------------------------

const within = (text, least, most) => {
  const number = Number(text);
  return text.trim() !== "" && Number.isFinite(number) ? Math.min(most, Math.max(least, number)) : undefined;
};

function requestOf(set, model, turns) {
  const said = turns.filter((turn) => turn.content && turn.state !== "failed").map(({ role, content }) => ({ role, content }));
  const messages = set.system.trim() ? [{ role: "system", content: set.system }, ...said] : said;
  const temperature = within(set.temperature, 0, 2);
  const most = within(set.most, 1, model?.most || 1);
  return { model: model?.id ?? "", messages, ...(temperature === undefined ? {} : { temperature }),
    ...(most === undefined ? {} : { max_tokens: Math.round(most) }) };
}

const listed = (messages, pad, write) => `[\n${messages.map((one) => `${pad}${write(JSON.stringify(one.role), JSON.stringify(one.content))},\n`).join("")}`;

function python(base, { model, messages, ...rest }) {
  const more = Object.entries(rest).map(([name, value]) => `    ${name}=${value},\n`).join("");
  return `import os
from openai import OpenAI

client = OpenAI(
    base_url="${base}/v1",
    api_key=os.environ["ASSISTERS_API_KEY"],
)
stream = client.chat.completions.create(
    model=${JSON.stringify(model)},
    messages=${listed(messages, "        ", (role, content) => `{"role": ${role}, "content": ${content}}`)}    ],
${more}    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()`;
}

function node(base, { model, messages, ...rest }) {
  const more = Object.entries(rest).map(([name, value]) => `  ${name}: ${value},\n`).join("");
  return `import OpenAI from "openai";

const client = new OpenAI({
  baseURL: "${base}/v1",
  apiKey: process.env.ASSISTERS_API_KEY,
});
const stream = await client.chat.completions.create({
  model: ${JSON.stringify(model)},
  messages: ${listed(messages, "    ", (role, content) => `{ role: ${role}, content: ${content} }`)}  ],
${more}  stream: true,
});
for await (const chunk of stream) {
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}`;
}

function curl(base, request) {
  const body = JSON.stringify({ ...request, stream: true }, null, 2).replaceAll("'", "'\\''");
  return `curl -N ${base}/v1/chat/completions \\
  -H "Authorization: Bearer $ASSISTERS_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '${body}'`;
}

const FORMS = { Python: python, Node: node, curl };

// ---- how it is written ------------------------------------------------------------------------------------------------

const count = (number) => new Intl.NumberFormat().format(number);
const milliseconds = (number) => (number < 1000 ? `${Math.round(number)} ms` : `${(number / 1000).toFixed(1)} s`);
const dollars = (number) => {
  const [whole, part] = number.toFixed(9).split(".");
  return `$${whole}.${part.replace(/0+$/, "").padEnd(2, "0")}`;
};
const icon = (path) => h("svg", { width: 16, height: 16, viewBox: "0 0 24 24", fill: "none", stroke: "currentColor",
  strokeWidth: 2, strokeLinecap: "round", strokeLinejoin: "round", "aria-hidden": true }, h("path", { d: path }));

function Labelled({ label, id, hint, children, className }) {
  return h("div", { className },
    h("label", { htmlFor: id, className: "block mb-1.5 font-medium" }, label), children,
    hint ? h("p", { id: `${id}-hint`, className: "mt-1.5 text-[0.8125rem] text-muted" }, hint) : null);
}

function Figure({ name, children }) {
  return h("div", { className: "inline-flex items-baseline gap-1.5" },
    h("dt", { className: "text-faint" }, name), h("dd", { className: "tabular-nums" }, children));
}

function Measured({ turn }) {
  const { usage, first, total, id } = turn;
  if (turn.state === "streaming") return null;
  return h("dl", { className: "mt-2 flex flex-wrap gap-x-4 gap-y-1 text-xs text-muted" },
    usage ? h(Figure, { name: "Tokens" }, `${count(usage.prompt_tokens)} in, ${count(usage.completion_tokens)} out`) : null,
    usage && typeof usage.cost === "number" ? h(Figure, { name: "Cost" }, dollars(usage.cost)) : null,
    first ? h(Figure, { name: "First token" }, milliseconds(first)) : null,
    total ? h(Figure, { name: "In all" }, milliseconds(total)) : null,
    id ? h(Figure, { name: "Request" }, h("a", { href: `/dashboard/requests/${id}`, target: "_blank", rel: "noopener", // beside this tab, which holds the conversation
      className: "font-mono break-all underline underline-offset-2 decoration-line hover:decoration-accent" }, id)) : null);
}

function Turn({ turn, again }) {
  if (turn.role === "user") {
    return h("li", { className: "flex justify-end" },
      h("div", { className: "max-w-[85%] rounded-xl bg-raised px-3.5 py-2 whitespace-pre-wrap break-words" },
        h("span", { className: "sr-only" }, "You: "), turn.content));
  }
  const waits = turn.state === "streaming" && !turn.content;
  return h("li", { className: "max-w-prose", "aria-busy": turn.state === "streaming" },
    h("span", { className: "sr-only" }, "Model: "),
    turn.content ? h("div", { className: "whitespace-pre-wrap break-words" }, turn.content) : null,
    waits ? h("span", { className: "shimmer inline-block h-4 w-24 rounded bg-raised", "aria-hidden": true }) : null,
    turn.state === "stopped" ? h("p", { className: "mt-1 text-muted" }, "Stopped. The request log says what was produced until then.") : null,
    turn.state === "failed" ? h("div", { role: "alert", className: "mt-1 rounded-lg bg-bad-soft text-bad px-3 py-2 flex flex-wrap items-center justify-between gap-2" },
      h("span", { className: "text-ink" }, turn.problem),
      turn.code === "insufficient_quota"
        ? h("a", { href: "/dashboard/billing", className: SECONDARY + "h-8" }, "Add credit")
        : again ? h("button", { type: "button", onClick: again, className: SECONDARY + "h-8" }, "Try again") : null) : null,
    h(Measured, { turn }));
}

// ---- the whole ----------------------------------------------------------------------------------------------------------

export function Playground({ keys = [], models = [], base = "", sandbox = false }) {
  const [set, change] = useState({ key: keys[0]?.handle ?? "", model: "", system: "", temperature: "", most: "" });
  const [turns, show] = useState([]);
  const [draft, write] = useState("");
  const [form, choose] = useState("Python");
  const [open, unfold] = useState(false);
  const running = useRef(null);
  const ticket = useRef(null);
  const scroll = useRef(null);
  const box = useRef(null);
  const key = keys.find((one) => one.handle === set.key) ?? keys[0];
  const offered = models.filter((one) => !key?.models.length || key.models.includes(one.id));
  const model = offered.find((one) => one.id === set.model) ?? offered[0];
  const busy = turns.at(-1)?.state === "streaming";
  const given = (name) => (event) => change({ ...set, [name]: event.target.value });

  useEffect(() => { // beside the conversation there is room for all settings
    const wide = window.matchMedia("(min-width: 1024px)");
    const look = () => { if (wide.matches) unfold(true); };
    look();
    wide.addEventListener("change", look);
    return () => { wide.removeEventListener("change", look); running.current?.abort(); };
  }, []);
  useEffect(() => { // the end stays in view for who is reading it, and nobody is pulled away from further up
    const view = scroll.current;
    if (view.scrollHeight - view.scrollTop - view.clientHeight < 160) view.scrollTop = view.scrollHeight;
  }, [turns]);

  async function answer(said) {
    const control = new AbortController();
    running.current = control;
    const turn = { role: "assistant", content: "", state: "streaming" };
    const began = performance.now();
    let drawn = 0;
    const draw = () => { drawn = 0; show([...said, { ...turn }]); };
    const hear = ({ id, text, usage }) => {
      if (id) turn.id = id;
      if (usage) turn.usage = usage;
      if (text) { turn.first ??= performance.now() - began; turn.content += text; }
      drawn ||= requestAnimationFrame(draw);
    };
    draw();
    try {
      if (ticket.current?.key !== key.handle || ticket.current.until < Date.now()) ticket.current = await newTicket(key.handle);
      const request = { ...requestOf(set, model, said), stream: true, stream_options: { include_usage: true } };
      await ask(ticket.current.text, request, control.signal, hear);
      turn.state = "done";
    } catch (problem) {
      const known = problem instanceof Problem;
      if (known && problem.code === "invalid_ticket") ticket.current = null;
      turn.state = control.signal.aborted ? "stopped" : "failed";
      turn.problem = known ? problem.message : "That did not reach us. Check the connection and try again.";
      turn.code = known ? problem.code : "";
    }
    cancelAnimationFrame(drawn);
    turn.total = performance.now() - began;
    draw();
    box.current?.focus();
  }
  const send = (event) => {
    event?.preventDefault();
    if (busy || !draft.trim()) return;
    const heard = turns.at(-1)?.state === "failed" ? turns.slice(0, -2) : turns; // what was not answered is left out
    const said = [...heard, { role: "user", content: draft }];
    write("");
    answer(said);
  };
  const again = () => answer(turns.slice(0, -1));
  const typed = (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) send(event);
  };

  const spent = useMemo(() => turns.reduce((sum, turn) => ({
    tokens: sum.tokens + (turn.usage?.total_tokens ?? 0), cost: sum.cost + (turn.usage?.cost ?? 0) }), { tokens: 0, cost: 0 }), [turns]);
  const asked = useMemo(() => {
    const last = turns.findLastIndex((turn) => turn.role === "user");
    const said = draft.trim() ? [...turns, { role: "user", content: draft }] : turns.slice(0, last + 1);
    return requestOf(set, model, said.length ? said : [{ role: "user", content: "Say hello." }]);
  }, [set, model, turns, draft]);
  const code = FORMS[form](base, asked);

  return h("div", { className: "grid lg:grid-cols-[minmax(0,1fr)_20rem] gap-4 sm:gap-6 items-start" },
    h("section", { "aria-label": "Settings", className: CARD + "p-4 sm:p-5 space-y-4 lg:order-2 lg:sticky lg:top-20" },
      h("div", { className: "grid sm:grid-cols-2 lg:grid-cols-1 gap-4" },
        h(Labelled, { label: "Key", id: "play-key" }, h("select", { id: "play-key", value: set.key, onChange: given("key"), className: LINE + "pr-9" },
          keys.map((one) => h("option", { key: one.handle, value: one.handle }, one.mode === "test" ? `${one.name} (test)` : one.name)))),
        h(Labelled, { label: "Model", id: "play-model" }, h("select", { id: "play-model", value: model?.id, onChange: given("model"), className: LINE + "pr-9" },
          offered.map((one) => h("option", { key: one.id, value: one.id }, one.id))))),
      h("p", { className: "text-[0.8125rem] text-muted" }, key?.mode === "test"
        ? "A test key: the sandbox answers, and nothing is charged."
        : sandbox ? "No models are set up here: the sandbox answers, and nothing is charged."
        : "A live key: each answer is charged to your balance, like any call."),
      h("details", { open, onToggle: (event) => unfold(event.currentTarget.open), className: "group" },
      h("summary", { className: "lg:hidden inline-flex items-center gap-1.5 text-muted hover:text-ink" },
        h("span", { className: "transition-transform group-open:rotate-90" }, icon("m9 6 6 6-6 6")), "More settings"),
      h("div", { className: "mt-4 lg:mt-0 space-y-4" },
      h(Labelled, { label: "System prompt", id: "play-system" }, h("textarea", { id: "play-system", rows: 2, value: set.system,
        onChange: given("system"), placeholder: "How the model should answer", className: BOX + "py-2 resize-y" })),
      h("div", { className: "grid grid-cols-2 gap-4" },
        h(Labelled, { label: "Temperature", id: "play-temperature" }, h("input", { id: "play-temperature", type: "number", min: 0, max: 2, step: 0.1,
          inputMode: "decimal", value: set.temperature, onChange: given("temperature"), placeholder: "model's", className: LINE })),
        h(Labelled, { label: "Max tokens", id: "play-most" }, h("input", { id: "play-most", type: "number", min: 1, max: model?.most, step: 1,
          inputMode: "numeric", value: set.most, onChange: given("most"), placeholder: count(model?.most ?? 0), className: LINE })))))),
    h("div", { className: "space-y-4 sm:space-y-6 min-w-0" },
      h("section", { "aria-label": "Conversation", className: CARD + "flex flex-col" },
        h("div", { ref: scroll, role: "region", "aria-label": "What was said", tabIndex: 0, className: "overflow-y-auto p-4 sm:p-5 min-h-64 max-h-[60dvh]" },
          turns.length ? h("ol", { className: "space-y-5" },
            turns.map((turn, n) => h(Turn, { key: n, turn, again: n === turns.length - 1 ? again : undefined })))
            : h("div", { className: "h-56 flex flex-col items-center justify-center text-center" },
              h("p", { className: "font-medium" }, "Say something to the model"),
              h("p", { className: "mt-1 text-muted max-w-sm" }, "It answers as it would answer your program, and shows what that took and cost."))),
        h("form", { onSubmit: send, className: "border-t border-line p-3 sm:p-4" },
          h("label", { htmlFor: "play-message", className: "sr-only" }, "Message"),
          h("textarea", { id: "play-message", ref: box, rows: 2, value: draft, onChange: (event) => write(event.target.value), onKeyDown: typed,
            placeholder: "Message", enterKeyHint: "send", className: BOX + "py-2 resize-none" }),
          h("div", { className: "mt-3 flex flex-wrap items-center justify-end gap-2" },
            h("p", { className: "mr-auto basis-full sm:basis-auto text-xs text-faint tabular-nums empty:hidden" }, spent.tokens
              ? `This conversation: ${count(spent.tokens)} tokens, ${dollars(spent.cost)}` : h("span", { className: "hidden sm:inline" }, "Enter sends, Shift-Enter begins a line")),
            turns.length && !busy ? h("button", { type: "button", className: SECONDARY, onClick: () => { show([]); box.current?.focus(); } }, "Clear") : null,
            busy ? h("button", { type: "button", className: SECONDARY, onClick: () => running.current?.abort() }, icon("M7 7h10v10H7z"), "Stop")
              : h("button", { type: "submit", disabled: !draft.trim(), className: PRIMARY }, icon("M5 12h14M13 6l6 6-6 6"), "Send"))),
        h("p", { role: "status", className: "sr-only" }, busy ? "Answering" : turns.at(-1)?.state === "done" ? "Answered" : "")),
      h("section", { "aria-label": "The same request as code", className: CARD + "p-4 sm:p-5" },
        h("h2", { className: "text-[0.9375rem] font-semibold tracking-tight" }, "The same request as code"),
        h("p", { className: "mt-0.5 mb-4 text-muted text-pretty" }, "Put a key of yours in the environment as ASSISTERS_API_KEY."),
        h("div", { role: "radiogroup", "aria-label": "Language", className: "inline-flex rounded-lg border border-line bg-raised/60 p-0.5" },
          Object.keys(FORMS).map((name) => h("label", { key: name, className: "relative inline-flex items-center h-7 px-2.5 rounded-md text-[0.8125rem] text-muted cursor-pointer hover:text-ink has-checked:bg-surface has-checked:text-ink has-checked:shadow-card has-focus-visible:outline-2 has-focus-visible:outline-accent" },
            h("input", { type: "radio", name: "play-language", checked: form === name, onChange: () => choose(name), className: "sr-only" }), name))),
        h("div", { className: "relative mt-3 rounded-xl border border-line bg-raised/60 min-w-0" },
          h("pre", { tabIndex: 0, className: "overflow-auto max-h-96 p-4 pr-0 mr-11" }, h("code", { className: "font-mono text-[0.8125rem] leading-6" }, code)),
          h(Copy, { text: code, label: "Copy code", className: "inline-flex items-center justify-center gap-1.5 size-8 rounded-md text-muted hover:bg-raised hover:text-ink absolute right-2 top-2 bg-surface" })))));
}
