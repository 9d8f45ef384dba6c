// SPDX-License-Identifier: Apache-2.0
// Shows /openapi.json, and asks what it describes. Nothing from elsewhere is loaded, and no text is
// ever taken for markup: every element is made by `made`.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const LONGEST_SHOWN = 200000;
const place = (id) => document.getElementById(id);
let api = null;
let running = null;

/** An element with attributes and children; text stays text. */
function made(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== false) element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** What a reference stands for, and the name of it. */
function resolved(schema) {
  if (!schema || !schema.$ref) return [schema || {}, ""];
  const steps = schema.$ref.replace(/^#\//, "").split("/");
  return [steps.reduce((at, step) => at[step], api), steps[steps.length - 1]];
}

function operations() {
  const found = [];
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS) {
      if (item[method]) found.push({ path, method: method.toUpperCase(), about: item[method], item });
    }
  }
  return found;
}

// ---- schemas

/** A schema in a few words: "array of string, 1..4". */
function phrase(schema) {
  const [plain, name] = resolved(schema);
  if (name) return name;
  if ("const" in plain) return JSON.stringify(plain.const);
  if (plain.enum) return plain.enum.map((one) => JSON.stringify(one)).join(" | ");
  const options = plain.anyOf || plain.oneOf || plain.allOf;
  if (options) return options.map(phrase).join(" | ");
  if (plain.type === "array") return `array of ${phrase(plain.items)}${bounds(plain, "minItems", "maxItems")}`;
  if (plain.type === "object" && typeof plain.additionalProperties === "object") {
    return `map to ${phrase(plain.additionalProperties)}`;
  }
  const type = plain.type || "any";
  const numbers = bounds(plain, "minimum", "maximum") || bounds(plain, "exclusiveMinimum", "maximum");
  return type + numbers + bounds(plain, "minLength", "maxLength");
}

function bounds(schema, low, high) {
  const [least, most] = [schema[low], schema[high]];
  if (least === undefined && most === undefined) return "";
  return `, ${least ?? ""}..${most ?? ""}`;
}

/** The schema below a schema that has fields, through references, arrays and options. */
function inner(schema) {
  const [plain] = resolved(schema);
  if (plain.properties) return plain;
  if (plain.items) return inner(plain.items);
  for (const option of plain.anyOf || plain.oneOf || plain.allOf || []) {
    const found = inner(option);
    if (found) return found;
  }
  return null;
}

function fields(schema) {
  const rows = Object.entries(schema.properties || {}).map(([name, field]) => {
    const [plain] = resolved(field);
    const said = field.description || plain.description || "";
    const preset = field.default === undefined ? "" : ` = ${JSON.stringify(field.default)}`;
    const required = (schema.required || []).includes(name);
    const line = [
      made("code", { class: required ? "required" : "" }, name), " ",
      made("span", { class: "quiet" }, phrase(field) + preset),
      said ? made("div", {}, said) : null,
    ];
    const below = inner(field);
    if (!below) return made("div", {}, line);
    const opened = made("details", { ontoggle: once(() => opened.append(fields(below))) }, made("summary", {}, line));
    return opened;
  });
  return made("div", { class: "fields" }, rows);
}

function once(work) {
  let done = false;
  return () => {
    if (!done) work();
    done = true;
  };
}

/** A value of a schema to begin with: what is required, and constants. */
function sample(schema, depth = 0) {
  const [plain, name] = resolved(schema);
  if (name === "JsonPatch") return [{ op: "add", path: "/metadata/labels", value: { "a": "b" } }];
  if (name === "MergePatch") return { metadata: { labels: { "a": "b" } } };
  if ("const" in plain) return plain.const;
  if (plain.default !== undefined) return plain.default;
  if (plain.enum) return plain.enum[0];
  if (depth > 6) return null;
  const option = (plain.anyOf || plain.oneOf || plain.allOf || [])[0];
  if (option) return sample(option, depth + 1);
  if (plain.type === "object") {
    const wanted = plain.required || [];
    return Object.fromEntries(wanted.map((one) => [one, sample((plain.properties || {})[one], depth + 1)]));
  }
  return { array: [], string: "", integer: plain.minimum ?? 0, number: plain.minimum ?? 0, boolean: false }[plain.type] ?? null;
}

// ---- one operation

function show(operation) {
  const { path, method, about, item } = operation;
  const given = [...(item.parameters || []), ...(about.parameters || [])];
  const bodies = Object.entries((about.requestBody || {}).content || {});
  place("main").replaceChildren(
    made("h2", {}, made("span", { class: `method ${method}` }, method), " ", made("span", { class: "path" }, path)),
    made("p", {}, about.summary || "", about.description ? made("span", {}, " ", about.description) : null),
    ...bodies.flatMap(([media, content]) => [
      made("h3", {}, "Body ", made("code", {}, media)), fields(inner(content.schema) || {}),
    ]),
    made("h3", {}, "Try it"), attempt(operation, given, bodies),
    made("h3", {}, "Answers"), answers(about.responses),
  );
  document.title = `${method} ${path} · vneter REST`;
}

function answers(responses) {
  return made("div", {}, Object.entries(responses).map(([code, response]) => {
    const [plain] = resolved(response);
    const [media, content] = Object.entries(plain.content || {})[0] || ["", {}];
    const below = content.schema ? inner(content.schema) : null;
    const line = [made("code", {}, code), " ", plain.description || "", " ", made("span", { class: "quiet" }, media)];
    if (!below) return made("div", {}, line);
    const opened = made("details", { ontoggle: once(() => opened.append(fields(below))) }, made("summary", {}, line));
    return opened;
  }));
}

function attempt(operation, given, bodies) {
  const inputs = new Map();
  const rows = given.map((parameter) => {
    const input = field(parameter);
    inputs.set(parameter, input);
    return made("tr", {},
      made("td", {}, made("code", { class: parameter.required ? "required" : "" }, parameter.name),
        made("div", { class: "quiet" }, parameter.in)),
      made("td", {}, input),
      made("td", {}, parameter.description || "", " ", made("span", { class: "quiet" }, phrase(parameter.schema))));
  });
  const media = made("select", { "aria-label": "Media type" }, bodies.map(([name]) => made("option", {}, name)));
  const text = made("textarea", { spellcheck: "false", "aria-label": "Body" });
  const fill = () => {
    const chosen = bodies.find(([name]) => name === media.value) || bodies[0];
    text.value = JSON.stringify(sample(chosen[1].schema), null, 2);
  };
  media.addEventListener("change", fill);
  if (bodies.length) fill();
  const told = made("div", { "aria-live": "polite" });
  const stop = made("button", { type: "button", disabled: true, onclick: () => running && running.abort() }, "Stop");
  const form = made("form", {},
    rows.length ? made("table", {}, made("tbody", {}, rows)) : null,
    bodies.length ? made("div", { class: "row" }, media) : null,
    bodies.length ? text : null,
    made("div", { class: "row" }, made("button", { type: "submit" }, "Send"), stop));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(request(operation, inputs, bodies.length ? [media.value, text.value] : null), told, stop);
  });
  return made("div", {}, form, told);
}

function field(parameter) {
  const schema = parameter.schema || {};
  if (schema.type === "boolean") {
    return made("select", { "aria-label": parameter.name }, ["", "true", "false"].map((one) => made("option", {}, one)));
  }
  const number = schema.type === "integer" || schema.type === "number";
  return made("input", {
    "aria-label": parameter.name, required: parameter.required, type: number ? "number" : "text",
    min: schema.minimum, max: schema.maximum, step: schema.type === "number" ? "any" : undefined,
  });
}

/** What to ask: target, options of fetch, and the same for a shell. */
function request(operation, inputs, body) {
  let target = operation.path;
  const query = new URLSearchParams();
  const headers = {};
  for (const [parameter, input] of inputs) {
    if (input.value === "") continue;
    if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (parameter.in === "query") query.append(parameter.name, input.value);
    else headers[parameter.name] = input.value;
  }
  if (String(query)) target += `?${query}`;
  if (body) headers["Content-Type"] = body[0];
  const shown = ["curl", "-sS", "-X", operation.method, quoted(location.origin + target)];
  for (const [name, value] of Object.entries(headers)) shown.push("-H", quoted(`${name}: ${value}`));
  const token = place("token").value.trim();
  if (token) {
    headers.Authorization = `Bearer ${token}`;
    shown.push("-H", '"Authorization: Bearer $TOKEN"');
  }
  if (body) shown.push("--data-binary", quoted(body[1]));
  const options = { method: operation.method, headers, body: body ? body[1] : undefined, cache: "no-store" };
  return { target, options, shell: shown.join(" ") };
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function send(asked, told, stop) {
  if (running) running.abort();
  const mine = new AbortController();
  running = mine;
  stop.disabled = false;
  const output = made("pre", {}, "…");
  told.replaceChildren(made("pre", {}, asked.shell), output);
  try {
    const answer = await fetch(asked.target, { ...asked.options, signal: mine.signal });
    const head = [`HTTP ${answer.status} ${answer.statusText}`];
    for (const [name, value] of answer.headers) head.push(`${name}: ${value}`);
    await follow(answer, output, `${head.join("\n")}\n\n`);
  } catch (error) {
    output.append(mine.signal.aborted ? "\nstopped" : `\n${error}`);
  } finally {
    stop.disabled = true;
    if (running === mine) running = null;
  }
}

/** Shows an answer while it arrives, for a watch does not end. */
async function follow(answer, output, head) {
  const reader = answer.body ? answer.body.getReader() : null;
  const decoder = new TextDecoder();
  let text = "";
  while (reader && text.length < LONGEST_SHOWN) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    output.textContent = head + text;
  }
  if (reader && text.length >= LONGEST_SHOWN) {
    await reader.cancel();
    text = `${text.slice(0, LONGEST_SHOWN)}\n… (more was not read)`;
  }
  output.textContent = head + pretty(text);
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// ---- the page

function listed() {
  const words = place("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  for (const operation of operations()) {
    const text = `${operation.method} ${operation.path} ${operation.about.summary} ${operation.about.tags}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    const tag = (operation.about.tags || ["Other"])[0];
    groups.set(tag, [...(groups.get(tag) || []), operation]);
  }
  const here = decodeURIComponent(location.hash.slice(1));
  place("list").replaceChildren(...[...groups].map(([tag, found]) => {
    const open = words.length > 0 || tag === "Server" || found.some((one) => one.about.operationId === here);
    return made("details", { open }, made("summary", {}, tag), found.map(({ path, method, about }) => made("a", {
      href: `#${about.operationId}`, title: about.summary, class: about.operationId === here ? "here" : "",
    }, made("span", { class: `method ${method}` }, method), made("span", {}, path.replace(/^\/v1/, "") || path))));
  }));
}

function route() {
  if (running) running.abort();
  const here = decodeURIComponent(location.hash.slice(1));
  const operation = operations().find(({ about }) => about.operationId === here);
  listed();
  if (operation) {
    show(operation);
    return;
  }
  place("main").replaceChildren(
    made("h2", {}, api.info.title, " ", made("span", { class: "quiet" }, api.info.version)),
    made("p", {}, api.info.summary || ""),
    made("p", { class: "prose" }, api.info.description || ""),
    made("p", {}, made("a", { href: "/openapi.json" }, "/openapi.json"), " is what this page shows."),
  );
}

async function begin() {
  try {
    const answer = await fetch("/openapi.json", { cache: "no-store" });
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    api = await answer.json();
  } catch (error) {
    place("main").replaceChildren(made("p", {}, `/openapi.json cannot be read: ${error}`));
    return;
  }
  place("about").textContent = `${api.info.summary || ""} Version ${api.info.version}.`;
  place("filter").addEventListener("input", listed);
  window.addEventListener("hashchange", route);
  route();
}

begin();
