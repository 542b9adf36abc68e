"use strict";
// The page's script: it moves inputs and draws. All formulas, figures and texts come from the WebAssembly in the page.

const $ = (id) => document.getElementById(id);
const embedded = (id) => $(id).textContent;

// ---- asking the formulas

const bytes = Uint8Array.from(atob(embedded("wasm")), (letter) => letter.charCodeAt(0));
let formulas;

function ask(question) {
  const text = new TextEncoder().encode(JSON.stringify(question));
  const at = formulas.question(text.length);
  new Uint8Array(formulas.memory.buffer, at, text.length).set(text);
  const length = formulas.answer();
  // The memory may have grown, so it is looked up anew.
  return JSON.parse(new TextDecoder().decode(new Uint8Array(formulas.memory.buffer, formulas.answer_at(), length)));
}

// ---- what is shown: a calculator and its inputs, which are also in the address

let forms;
let calculator;
let inputs;

const form = () => forms[calculator].form;
const beginning = (name) => structuredClone(start[name] ?? forms[name].presets[0].inputs);
const start = JSON.parse(embedded("start"));

function address() {
  const parts = form().fields.concat(form().choices).map(({ key }) => `${key}=${encodeURIComponent(inputs[key])}`);
  const { key, columns } = form().list;
  for (const row of inputs[key]) {
    parts.push(`${key}=${encodeURIComponent([row.name, ...columns.map((column) => row[column.key])].join(":"))}`);
  }
  return `#${calculator}&${parts.join("&")}`;
}

function readAddress() {
  const [name, ...parts] = location.hash.slice(1).split("&");
  calculator = Object.hasOwn(forms, name) && forms[name].form ? name : Object.keys(start)[0];
  inputs = beginning(calculator);
  const { fields, choices, list } = form();
  const rows = [];
  for (const part of parts) {
    const [key, ...rest] = part.split("=");
    const text = decoded(rest.join("="));
    if (fields.some((field) => field.key === key)) inputs[key] = Number(text);
    if (choices.some((choice) => choice.key === key)) inputs[key] = text;
    // One row too many is enough to be refused.
    if (list.key === key && rows.length <= list.max_rows) rows.push(readRow(text));
  }
  // An address that the page made names all there is: no rows are no rows.
  if (rows.length > 0 || parts.length >= fields.length) inputs[list.key] = rows;
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function readRow(text) {
  const [name, ...numbers] = text.split(":");
  const row = { name };
  form().list.columns.forEach((column, place) => { row[column.key] = Number(numbers[place]); });
  return row;
}

// ---- the address follows, once nothing moves: browsers drop all but a few hundred changes of it

const ADDRESS_AFTER_MS = 250;
let wanted = null;
let timer;

function keepAddress() {
  wanted = address();
  document.body.dataset.address = "waits";
  clearTimeout(timer);
  timer = setTimeout(setAddress, ADDRESS_AFTER_MS);
}

function setAddress() {
  const kept = wanted;
  dropAddress();
  if (kept === null) return;
  try {
    // Nothing but the address changes; the history keeps one entry.
    history.replaceState(null, "", kept);
  } catch {
    // Refused because of too many: the next change has all that this one has.
  }
}

function dropAddress() {
  clearTimeout(timer);
  wanted = null;
  delete document.body.dataset.address;
}

// ---- elements

function make(tag, attributes = {}, ...children) {
  const isDrawn = ["svg", "g", "path", "line", "rect", "text", "title"].includes(tag);
  const element = isDrawn ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined && child !== null));
  return element;
}

// A slider and a box for the same number. Wide ranges move by factors, so that small numbers can be met.
function control(field, id, object) {
  const isLog = field.slider_max - field.min > 1000;
  const low = Math.max(field.min, field.whole ? 1 : field.slider_max / 1e6);
  const steps = 1000;
  const place = (value) => isLog
    ? (value < low ? 0 : steps * Math.log(value / low) / Math.log(field.slider_max / low))
    : value;
  const number = (at) => {
    if (!isLog) return Number(at);
    if (Number(at) === 0) return field.min;
    const value = low * (field.slider_max / low) ** (at / steps);
    return field.whole ? Math.round(value) : Number(value.toPrecision(3));
  };
  const set = (value, other, shown) => {
    object[field.key] = value;
    other.value = shown;
    show();
  };
  const scale = isLog ? { min: 0, max: steps, step: 1 } : { min: field.min, max: field.slider_max, step: field.whole ? 1 : "any" };
  const label = `${field.label}, ${field.unit}`;
  const slider = make("input", { type: "range", id: `${id}-slider`, "aria-label": label, ...scale,
    oninput: () => set(number(slider.value), box, number(slider.value)) });
  const box = make("input", { type: "number", id, "aria-label": label, min: field.min, max: field.max, step: field.whole ? 1 : "any",
    oninput: () => set(box.value === "" ? null : Number(box.value), slider, place(Number(box.value))) });
  slider.value = place(object[field.key]);
  box.value = object[field.key];
  return [slider, box];
}

function labelled(text, unit, ...children) {
  return make("label", {}, make("span", {}, text, " ", make("small", {}, unit)), ...children);
}

function showInputs() {
  const { fields, choices, list } = form();
  const presets = make("select", { id: "preset", onchange: () => {
    inputs = structuredClone(forms[calculator].presets[presets.value].inputs);
    showInputs();
    show();
  } }, make("option", { value: "" }, "…"), ...forms[calculator].presets.map((preset, place) =>
    make("option", { value: place }, `${preset.name}: ${preset.about}`)));
  const isEstimate = (field) => calculator === "savings" && inputs.bases.length > 0 && field.label.endsWith("(estimate)");
  $("inputs").replaceChildren(
    labelled("begin with", "", presets),
    rowsOf(list),
    ...choices.map((choice) => {
      const select = make("select", { id: choice.key, onchange: () => { inputs[choice.key] = select.value; show(); } },
        ...choice.options.map(([value, label]) => make("option", { value }, label)));
      select.value = inputs[choice.key];
      return labelled(choice.label, "", select);
    }),
    ...fields.filter((field) => !isEstimate(field)).map((field) =>
      labelled(field.label, field.unit, ...control(field, field.key, inputs))),
  );
}

function rowsOf(list) {
  const change = (act) => () => { act(); showInputs(); show(); };
  const rows = inputs[list.key].map((row, place) => make("fieldset", {},
    make("legend", {}, row.name, " ", make("button", { type: "button", onclick: change(() => inputs[list.key].splice(place, 1)) }, "remove")),
    ...list.columns.map((column) => labelled(column.label, column.unit, ...control(column, `${list.key}-${place}-${column.key}`, row)))));
  const fresh = () => {
    const last = inputs[list.key].at(-1);
    const values = list.columns.map((column) => [column.key, last ? last[column.key] : Math.max(column.min, 1)]);
    inputs[list.key].push({ name: `${list.key.slice(0, -1)} ${inputs[list.key].length + 1}`, ...Object.fromEntries(values) });
  };
  return make("details", { open: "" }, make("summary", {}, list.label), ...rows,
    make("button", { type: "button", id: `add-${list.key}`, onclick: change(fresh) }, "add one"));
}

// ---- the outcome

function show() {
  const answer = ask({ ask: calculator, inputs });
  $("error").hidden = !answer.error;
  $("error").textContent = answer.error ?? "";
  $("outcome").hidden = Boolean(answer.error);
  if (answer.error) return;
  const { outcome, plots, command, tables } = answer[calculator];
  $("command").textContent = command;
  $("tables").replaceChildren(...tables.map(table));
  $("plots").replaceChildren(...plots.map(figure));
  const stages = (outcome.stages ?? []).flatMap((stage) => stage.formulas.map((formula) => [stage.name, formula]));
  const all = outcome.formulas.map((formula) => ["", formula]).concat(stages);
  $("formulas").replaceChildren(...all.map(([of, formula]) => make("tr", { "data-key": formula.key, "data-of": of, "data-value": formula.value },
    make("td", {}, of ? `${of}: ${formula.what}` : formula.what),
    make("td", {}, make("code", {}, formula.symbols), make("br"), make("code", {}, `= ${formula.numbers}`)),
    make("td", { class: "number" }, formula.text))));
  keepAddress();
}

function table({ title, header, rows }) {
  return make("section", {}, make("h2", {}, title), make("table", {},
    make("tr", {}, ...header.map((text) => make("th", {}, text))),
    ...rows.map((cells) => make("tr", {}, ...cells.map((text) => make("td", {}, text))))));
}

// ---- drawing

const WIDTH = 560;
const LEFT = 70;

function figure(plot) {
  const draw = { lines: drawLines, bars: drawBars, spans: drawSpans }[plot.kind];
  return make("figure", { "data-plot": plot.title }, make("figcaption", {}, plot.title), draw(plot));
}

function short(value) {
  const size = Math.abs(value);
  const [by, unit] = size >= 1e9 ? [1e9, "G"] : size >= 1e6 ? [1e6, "M"] : size >= 1e4 ? [1e3, "k"] : [1, ""];
  return `${Number((value / by).toPrecision(3))}${unit}`;
}

function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
  const found = [];
  for (let at = Math.ceil(low / step); at * step <= high; at += 1) found.push(at * step);
  return found;
}

function powers(low, high) {
  const found = [];
  const first = 10 ** Math.floor(Math.log10(low));
  // From 0 on, factors lead nowhere.
  if (!(first > 0 && Number.isFinite(high))) return found;
  for (let power = first; power <= high; power *= 10) {
    found.push(...[1, 2, 5].map((factor) => factor * power).filter((tick) => tick >= low && tick <= high));
  }
  return found;
}

const line = (x1, y1, x2, y2, name) => make("line", { x1, y1, x2, y2, class: name });
const words = (x, y, text, anchor = "start", name = "") => make("text", { x, y, "text-anchor": anchor, class: name }, text);

// To the right of a place, or to the left where there is no room.
const beside = (x, y, text) => x < WIDTH - 7 * text.length ? words(x + 4, y, text, "start", "over") : words(x - 4, y, text, "end", "over");

function drawLines({ title, x_label, y_label, x_is_log, lines, marks }) {
  const height = 240;
  const points = lines.flatMap((curve) => curve.points);
  const [left, right] = [Math.min(...points.map(([x]) => x)), Math.max(...points.map(([x]) => x))];
  const [low, high] = [Math.min(0, ...points.map(([, y]) => y)), Math.max(1e-9, ...points.map(([, y]) => y))];
  const along = x_is_log ? Math.log : (x) => x;
  const x = (value) => LEFT + (along(value) - along(left)) / (along(right) - along(left) || 1) * (WIDTH - LEFT - 10);
  const y = (value) => 20 + (high - value) / (high - low) * (height - 60);
  const drawn = make("svg", { viewBox: `0 0 ${WIDTH} ${height + 14 * lines.length}`, role: "img", "aria-label": title });
  for (const tick of ticks(low, high)) drawn.append(line(LEFT, y(tick), WIDTH - 10, y(tick), "axis"), words(LEFT - 6, y(tick) + 4, short(tick), "end"));
  for (const tick of x_is_log ? powers(left, right) : ticks(left, right)) drawn.append(words(x(tick), height - 24, short(tick), "middle"));
  drawn.append(words(LEFT, 10, y_label), words(WIDTH - 10, height - 10, x_label, "end"));
  marks.forEach(({ at, label }, place) => {
    if (at < left || at > right) return;
    drawn.append(line(x(at), 20, x(at), y(low), "mark"), beside(x(at), 30 + 12 * place, label));
  });
  lines.forEach((curve, place) => {
    const path = curve.points.map(([at, value]) => `${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("L");
    drawn.append(make("path", { d: `M${path}`, class: `curve c${place % 4}`, "data-name": curve.name }),
      words(LEFT, height + 4 + 14 * place, `— ${curve.name}`, "start", `c${place % 4}`));
  });
  return drawn;
}

function drawBars({ title, label, spans }) {
  const height = 240;
  const ends = spans.flatMap(({ from, to }) => [from, to]);
  const [low, high] = [Math.min(0, ...ends), Math.max(1e-9, ...ends)];
  const y = (value) => 20 + (high - value) / (high - low) * (height - 60);
  const width = (WIDTH - LEFT) / spans.length;
  const drawn = make("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title }, words(LEFT, 10, label));
  for (const tick of ticks(low, high)) drawn.append(line(LEFT, y(tick), WIDTH, y(tick), "axis"), words(LEFT - 6, y(tick) + 4, short(tick), "end"));
  spans.forEach(({ name, from, to, tone, text }, place) => {
    const [left, top] = [LEFT + place * width + 4, y(Math.max(from, to))];
    drawn.append(make("rect", { x: left, y: top, width: width - 8, height: Math.max(1, y(Math.min(from, to)) - top), class: tone, "data-name": name }),
      words(left, height - 24, name), words(left, height - 10, text));
  });
  return drawn;
}

function drawSpans({ title, label, spans, limit }) {
  // Room for names on the left, and for figures behind the longest bar.
  const [row, left, right] = [26, 170, 140];
  const ends = spans.flatMap(({ from, to }) => [from, to]).concat(limit ? [limit.at] : []);
  const [low, high] = [Math.min(0, ...ends), Math.max(1e-9, ...ends)];
  const x = (value) => left + (value - low) / (high - low) * (WIDTH - left - right);
  const height = spans.length * row + 50;
  const drawn = make("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": title });
  for (const tick of ticks(low, high)) drawn.append(line(x(tick), 16, x(tick), height - 34, "axis"), words(x(tick), height - 20, short(tick), "middle"));
  drawn.append(words(WIDTH - 10, height - 6, label, "end"));
  spans.forEach(({ name, from, to, tone, text }, place) => {
    const top = 20 + place * row;
    drawn.append(make("rect", { x: x(Math.min(from, to)), y: top, width: Math.max(1, Math.abs(x(to) - x(from))), height: row - 8, class: tone, "data-name": name }),
      words(left - 6, top + 12, name, "end"), words(x(Math.max(from, to)) + 4, top + 12, text));
  });
  if (limit) drawn.append(line(x(limit.at), 12, x(limit.at), height - 34, "mark"), beside(x(limit.at), 10, limit.label));
  return drawn;
}

// ---- beginning

function showAll() {
  // A new address goes before one that waits.
  dropAddress();
  readAddress();
  for (const button of $("calculators").children) button.setAttribute("aria-current", button.value === calculator);
  showInputs();
  show();
}

async function copy() {
  try {
    await navigator.clipboard.writeText($("command").textContent);
    $("copy").textContent = "copied";
  } catch {
    // Where the clipboard is refused, the text is at least selected.
    getSelection().selectAllChildren($("command"));
  }
}

async function begin() {
  const { instance } = await WebAssembly.instantiate(bytes);
  formulas = instance.exports;
  forms = ask({ ask: "forms" }).forms;
  for (const [name, text] of [["savings", "what deltas save"], ["stages", "what stages show"]]) {
    $("calculators").append(make("button", { type: "button", value: name, onclick: () => { setAddress(); location.hash = name; } }, text), " ");
  }
  $("differences").querySelector("table").append(
    make("tr", {}, ...["", "the chapter says", "from its own inputs", "why"].map((text) => make("th", {}, text))),
    ...forms.differences.map((row) => make("tr", {}, ...[row.calculator, row.chapter, row.recomputed, row.why].map((text) => make("td", {}, text)))));
  $("copy").addEventListener("click", copy);
  addEventListener("hashchange", showAll);
  showAll();
  document.body.dataset.ready = "yes";
}

begin().catch((error) => {
  $("error").hidden = false;
  $("error").textContent = `This page could not begin: ${error.message}`;
});
