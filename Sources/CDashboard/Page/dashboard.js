"use strict";
// The dashboard of one balancer. It asks the admin API where it was loaded from and nobody else. What others chose (names,
// reasons, addresses) only ever becomes text: elements are made here, and nothing is parsed as HTML.

// ---------------------------------------------------------------------------------------------------------------- elements

const byId = (id) => document.getElementById(id);

/** Makes an element. `on…` attributes are listeners, true is an attribute without value, null and false are none. */
function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Touches the page only where something differs: what stands still is neither drawn nor read out anew. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

function setAttribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value));
}

// ----------------------------------------------------------------------------------------------------------------- numbers

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

function rate(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 9.95) return grouped.format(value);
  return value > 0 && value < 0.1 ? "0.1" : String(Math.round(value * 10) / 10);
}

/** What is little is not shown as nothing, nor what is nearly all as all. */
function percent(share) {
  if (share === null || share === undefined) return "–";
  const tenths = Math.round(share * 1000);
  if (tenths === 0 && share > 0) return "0.1 %";
  if (tenths === 1000 && share < 1) return "99.9 %";
  return `${tenths % 10 === 0 ? tenths / 10 : (tenths / 10).toFixed(1)} %`;
}

/** Errors are few where all is well: their hundredths count. */
function errors(share) {
  if (share === null || share === undefined || share === 0 || share >= 0.01) return percent(share);
  return share < 0.0001 ? "0.01 %" : `${(share * 100).toFixed(2)} %`;
}

function milliseconds(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 10000) return `${grouped.format(value / 1000)} s`;
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return value >= 10 ? `${grouped.format(value)} ms` : `${value.toFixed(1).replace(/\.0$/, "")} ms`;
}

function duration(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} days`;
}

const ago = (iso) => `${duration((now() - Date.parse(iso)) / 1000)} ago`;
const clock = (milliseconds) => new Date(milliseconds).toLocaleTimeString([], { hour12: false });
const plural = (count, noun) => `${grouped.format(count)} ${noun}${count === 1 ? "" : "s"}`;

/** The balancer's time: this machine's clock may be another. */
function now() {
  return Date.now() + app.clockSkew;
}

// ------------------------------------------------------------------------------------------------------------------- state

const app = {
  token: null,
  welcome: null,
  state: null,
  clockSkew: 0,
  /** When what is shown was true, by this machine's clock; null: it is. */
  lostSince: null,
  connectedSince: null,
  lostWhy: "",
  /** Sides in the order in which they are shown, hence in that of their colours. */
  order: [],
  /** What routes match, by name, of the generation. */
  matches: new Map(),
  matchesOf: null,
  panels: new Map(),
  plots: { interval: 5, points: [], cursor: null, lastAt: 0 },
  endpoints: { groups: new Map(), timer: null },
  journal: { entries: [], before: null, of: null },
  /** Plans, of the table with that generation. */
  migrations: { isKnown: false, list: [], of: null, timer: null },
  /** What the sides of a plan differ in, and the class that is open, by plan. */
  differences: new Map(),
  replicas: { body: null, at: 0, timer: null },
  spoken: { text: "", at: 0 },
};

const mayChange = () => app.welcome !== null && app.welcome.role === "operator";
const isLive = () => app.lostSince === null && app.state !== null;

/** The number of a side's colour and pattern, from 1. */
function tone(upstream) {
  const index = app.order.indexOf(upstream);
  return index < 0 ? 0 : (index % 6) + 1;
}

const dot = (upstream) => el("span", { class: `dot tone-${tone(upstream)}`, "aria-hidden": "true" });

// --------------------------------------------------------------------------------------------------------------------- API

/** Asks; `{status, body, etag}`. Throws only where there is no answer. */
async function ask(method, path, body = null, etag = null) {
  const headers = { Accept: "application/json" };
  if (app.token) headers.Authorization = `Bearer ${app.token}`;
  if (body !== null) headers["Content-Type"] = "application/json";
  if (etag) headers["If-Match"] = etag;
  const response = await fetch(path, {
    method, headers, body: body === null ? undefined : JSON.stringify(body), cache: "no-store", credentials: "omit",
    signal: AbortSignal.timeout(15000),
  });
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    answer = null;
  }
  return { ok: response.ok, status: response.status, body: answer, etag: response.headers.get("ETag") };
}

/** Why the API refused, in its words, a line each. */
function refusal(answer) {
  const body = answer.body;
  if (!body || !body.error) return [`The balancer answered ${answer.status}.`];
  return [body.error, ...(body.problems || []).map((problem) => `${problem.path}: ${problem.message}`)];
}

const weightsPath = (route, dryRun) => `/api/v1/routes/${encodeURIComponent(route)}/weights${dryRun ? "?dryRun=true" : ""}`;

// ------------------------------------------------------------------------------------------------------------------ stream

const sleep = (time) => new Promise((wake) => setTimeout(wake, time));

/** Follows events for as long as the page lives. */
async function follow() {
  let pause = 1000;
  for (;;) {
    const abort = new AbortController();
    let watchdog = null;
    // One message comes a second: five without are a connection that is dead and has not been told.
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), 6000);
    };
    let why = "the balancer ended it";
    try {
      alive();
      const headers = app.token ? { Authorization: `Bearer ${app.token}` } : {};
      const response = await fetch("/api/v1/events", {
        headers, signal: abort.signal, cache: "no-store", credentials: "omit",
      });
      if (response.status === 401 || response.status === 429) {
        clearTimeout(watchdog);
        const wait = response.headers.get("Retry-After");
        const refused = response.status === 429 ? `Too many wrong tokens: wait ${wait || 60} s.` : "This token is not known.";
        lose("a token is needed");
        await askToken(response.status === 401 && !app.token ? "This balancer wants a token." : refused);
        continue;
      }
      if (!response.ok) {
        const body = await response.json().catch(() => null);
        throw new Error(body && body.error ? body.error : `it answered ${response.status}`);
      }
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      let held = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        alive();
        held += value;
        for (let end = held.indexOf("\n\n"); end >= 0; end = held.indexOf("\n\n")) {
          take(held.slice(0, end));
          held = held.slice(end + 2);
          pause = 1000;
        }
      }
    } catch (error) {
      why = error.name === "AbortError" ? "nothing came for 6 s" : error instanceof TypeError ? "it cannot be reached" : error.message;
    }
    clearTimeout(watchdog);
    lose(why);
    await sleep(pause * (0.8 + Math.random() * 0.4));
    pause = Math.min(pause * 2, 15000);
  }
}

/** One message of the stream. */
function take(text) {
  let event = "message";
  let data = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("event: ")) event = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  if (!data) return;
  const body = JSON.parse(data);
  if (event === "welcome") welcome(body);
  if (event === "state") arrive(body);
}

function welcome(body) {
  app.welcome = body;
  app.connectedSince = Date.now();
  document.body.classList.toggle("viewer", body.role !== "operator");
  app.plots.interval = body.plots.intervalSeconds;
  app.plots.points = [];
  for (const side of body.plots.sides) {
    side.requestsPerSecond.forEach((value, index) => {
      app.plots.points[index] = app.plots.points[index] || {};
      app.plots.points[index][side.upstream] = {
        requestsPerSecond: value, errors: side.errors[index], p50Milliseconds: side.p50Milliseconds[index],
        p99Milliseconds: side.p99Milliseconds[index],
      };
    });
  }
  app.plots.lastAt = 0;
}

function arrive(state) {
  const wasLost = app.lostSince !== null || app.state === null;
  app.state = state;
  app.clockSkew = Date.parse(state.at) - Date.now();
  app.lostSince = null;
  document.body.classList.remove("lost", "waiting");
  arrange(state);
  plot(state);
  show();
  if (wasLost) refreshEndpoints();
  if (wasLost) findMigrations();
  if (wasLost) refreshReplicas();
  if (app.journal.of !== state.journal || wasLost) refreshJournal();
  if (app.matchesOf !== state.generation) refreshMatches();
}

function lose(why) {
  app.lostWhy = why;
  if (app.lostSince === null) {
    app.lostSince = Date.now();
    document.body.classList.add("lost");
  }
  show();
}

/** Sides that a route is split between come first, in the file's order: the old one left, the new one right. */
function arrange(state) {
  const order = [];
  const add = (name) => {
    if (!order.includes(name)) order.push(name);
  };
  state.routes.filter((route) => route.sides.length > 1).forEach((route) => route.sides.forEach((side) => add(side.upstream)));
  state.routes.forEach((route) => route.sides.forEach((side) => add(side.upstream)));
  state.sides.forEach((side) => add(side.upstream));
  if (order.join("\n") === app.order.join("\n")) return;
  app.order = order;
  // Colours go by order: what was drawn with others is drawn anew.
  byId("route-list").replaceChildren();
  byId("side-list").replaceChildren();
  byId("endpoint-groups").replaceChildren();
  app.endpoints.groups.clear();
  app.panels.clear();
}

// -------------------------------------------------------------------------------------------------------------------- show

function show() {
  showBand();
  showFacts();
  if (app.state === null) return;
  showRoutes(app.state);
  showSides(app.state);
  showMigration(app.state);
  showReplicas(app.state);
  showEndpoints(app.state);
  enable();
}

/** Changes are for who may, and only while what is shown is true. */
function enable() {
  for (const button of document.querySelectorAll("[data-change]")) button.disabled = !isLive();
}

const levels = {
  calm: ["Well", "M5 12.5l4.5 4.5L19 7.5"],
  attention: ["Look", "M12 3.5 21.5 20h-19zM12 10v4.5M12 17v.5"],
  trouble: ["Trouble", "M8 3h8l5 5v8l-5 5H8l-5-5V8zM12 7.5v6M12 16.4v.4"],
  lost: ["Lost", "M4 4l16 16M5.5 12.5a9 9 0 0 1 5-2.4M2.5 9a13 13 0 0 1 5-3M12 18.5v.5M14 10.3a9 9 0 0 1 4.5 2.2M12.5 5a13 13 0 0 1 9 4"],
  waiting: ["Waiting", "M12 7v5l3.5 2M12 3.5a8.5 8.5 0 1 0 0 17 8.5 8.5 0 0 0 0-17"],
};

function showBand() {
  let level = "waiting";
  let text = "Asking the balancer…";
  if (app.lostSince !== null) {
    level = "lost";
    text = app.state === null
      ? `No connection: ${app.lostWhy}. Trying again.`
      : `Connection lost ${duration((Date.now() - app.lostSince) / 1000)} ago: ${app.lostWhy}. What is below was true at `
        + `${clock(app.lostSince)}; changes wait until it is back.`;
  } else if (app.state !== null) {
    ({ level, text } = app.state.sentence);
  }
  setAttribute(byId("band"), "data-level", level);
  setText(byId("level-word"), levels[level][0]);
  setAttribute(byId("level-icon"), "d", levels[level][1]);
  setText(byId("sentence"), text);
  document.title = level === "calm" || level === "waiting" ? "balancer" : `${levels[level][0]} – balancer`;
  speak(level, text);
  const retreat = retreatOffer();
  const button = byId("retreat");
  button.hidden = retreat === null || !mayChange();
  if (retreat) setText(button, `Retreat to ${retreat.to}`);
  button.disabled = !isLive();
}

/** Speaks of trouble alone, and of its end; no more often than once in five seconds, and not of numbers that merely move. */
function speak(level, text) {
  const words = level === "calm" || level === "waiting" ? (app.spoken.text ? "Nothing is wrong any more." : "") : text;
  const plain = words.replace(/[0-9.,]+/g, "#");
  if (plain === app.spoken.plain || Date.now() - app.spoken.at < 5000) return;
  app.spoken = { plain, text: level === "calm" || level === "waiting" ? "" : text, at: Date.now() };
  setText(byId("live"), words);
}

function showFacts() {
  const connection = byId("connection");
  if (app.lostSince !== null) setText(connection, `lost since ${clock(app.lostSince)}`);
  else if (app.connectedSince !== null) setText(connection, `live since ${clock(app.connectedSince)}`);
  if (app.welcome !== null) {
    const who = app.welcome.name ? ` · ${app.welcome.name} (${app.welcome.role})` : "";
    const generation = app.state === null ? "" : ` · table ${app.state.generation}`;
    setText(byId("identity"), `${app.welcome.host || "balancer"} ${app.welcome.version}${generation}${who}`);
  }
  const last = app.journal.entries.find((entry) => entry.state === "applied" && entry.what !== "denied");
  if (last) {
    const fact = byId("last-change");
    setText(fact, `Last change ${ago(last.at)}: ${author(last)}, ${last.subject} ${last.detail}`);
    setAttribute(fact, "title", new Date(last.at).toLocaleString());
  }
}

// ----------------------------------------------------------------------------------------------------------------- retreat

/** Back to the side that works: the first of the split unless it is the one that is ill. null: everything is there. */
function retreatOffer() {
  if (app.state === null) return null;
  const split = app.state.routes.filter((route) => route.sides.length > 1);
  if (split.length === 0) return null;
  const isWell = (name) => {
    const side = app.state.sides.find((one) => one.upstream === name);
    return side !== undefined && side.availableEndpoints > 0 && !(side.flow.errors >= 0.05 && side.flow.attempts >= 20);
  };
  const names = split[0].sides.map((side) => side.upstream);
  const to = names.find(isWell) || names[0];
  const routes = split.filter(
    (route) => route.sides.some((side) => side.upstream === to)
      && route.sides.some((side) => side.upstream !== to && side.weight > 0));
  return routes.length === 0 ? null : { to, routes };
}

const largestWeight = 1000000;

/** All of a route's weight on one side. */
function allOn(route, to) {
  const sum = Math.min(route.sides.reduce((total, side) => total + side.weight, 0) || 100, largestWeight);
  return Object.fromEntries(route.sides.map((side) => [side.upstream, side.upstream === to ? sum : 0]));
}

function retreat(to, routes) {
  const names = routes.map((route) => route.name);
  confirmChange({
    title: `Retreat to ${to}`,
    submit: `Retreat to ${to}`,
    needsReason: true,
    mayBeAlone: true,
    body: [
      el("p", {}, names.length === 1 ? `Route ${names[0]} sends everything to ${to}.` : `${names.length} routes send everything to ${to}: ${names.join(", ")}.`),
      el("p", { class: "muted" }, "What is under way finishes where it is. The journal can undo it."),
    ],
    preview: async () => {
      const notes = [];
      for (const route of routes) {
        const answer = await ask("PUT", weightsPath(route.name, true), { weights: allOn(route, to) });
        if (!answer.ok) notes.push({ level: "error", text: refusal(answer).join(" ") });
        else notes.push(...consequences(answer.body).filter((note) => note.level !== "calm"));
      }
      return notes;
    },
    apply: async (reason, force, alone) => {
      const failures = [];
      for (const route of routes) {
        const answer = await ask("PUT", weightsPath(route.name, false), {
          weights: allOn(route, to), reason, ...(force ? { force: true } : {}), ...(alone ? { local: true } : {}),
        });
        if (!answer.ok) failures.push(`${route.name}: ${refusal(answer).join(" ")}`);
      }
      return failures;
    },
  });
}

// ------------------------------------------------------------------------------------------------------------------ routes

async function refreshMatches() {
  const generation = app.state.generation;
  try {
    const answer = await ask("GET", "/api/v1/routes");
    if (!answer.ok) return;
    app.matchesOf = generation;
    app.matches = new Map(answer.body.routes.map((route) => [route.name, route]));
    if (app.state !== null) showRoutes(app.state);
  } catch {
    // The stream tells whether there is a connection.
  }
}

/** What a route takes, in a few words. */
function matchWords(route) {
  if (!route) return "";
  const match = route.match;
  const words = [...match.method, ...match.host, ...match.path, ...match.exactPath.map((path) => `=${path}`)];
  words.push(...match.listener.map((listener) => `on ${listener}`));
  words.push(...Object.entries(match.headers).map(([name, value]) => (value === null ? name : `${name}: ${value}`)));
  return words.length === 0 ? "everything" : words.join(" ");
}

/** Fewer requests than these in the window say nothing about shares. */
const fewRequests = 20;

function showRoutes(state) {
  const list = byId("route-list");
  const split = state.routes.filter((route) => route.sides.length > 1);
  const single = state.routes.length - split.length;
  byId("routes-empty").hidden = split.length > 0;
  setText(byId("legend"), split.length === 0 ? "" : "bar: what each side was given · mark: where it is set");
  const known = new Map([...list.children].map((row) => [row.dataset.route, row]));
  const names = new Set(split.map((route) => route.name));
  for (const [name, row] of known) {
    if (!names.has(name)) {
      row.remove();
      app.panels.delete(name);
    }
  }
  split.forEach((route, index) => {
    let row = known.get(route.name);
    if (!row || row.dataset.sides !== route.sides.map((side) => side.upstream).join("\n")) {
      const made = routeRow(route);
      if (row) row.replaceWith(made);
      row = made;
    }
    if (list.children[index] !== row) list.insertBefore(row, list.children[index] || null);
    updateRoute(row, route, state);
  });
  const more = single + state.routesOmitted;
  let note = byId("routes-more");
  if (more > 0 && !note) byId("routes").append((note = el("p", { id: "routes-more", class: "muted" })));
  if (note) {
    const parts = [];
    if (single > 0) parts.push(`${plural(single, "route")} to one side only`);
    if (state.routesOmitted > 0) parts.push(`${plural(state.routesOmitted, "route")} not shown`);
    setText(note, parts.join(" · "));
  }
}

function routeRow(route) {
  const segments = route.sides.map((side) => el("span", { class: `segment tone-${tone(side.upstream)}` }));
  const marks = route.sides.slice(1).map(() => el("span", { class: "mark" }));
  const figures = route.sides.map((side) => el("span", { class: "figure" }, dot(side.upstream), el("b", {}, side.upstream), " ", el("span", { class: "number" })));
  const panel = el("div", { class: "panel", id: `panel-${cssName(route.name)}`, hidden: true });
  const change = el("button", {
    type: "button", class: "operator", "data-change": true, "aria-expanded": "false", "aria-controls": panel.id,
    "aria-label": `Change route ${route.name}`, onclick: () => togglePanel(route.name),
  }, "Change…");
  const back = el("button", { type: "button", class: "operator quiet", "data-change": true, onclick: () => {
    const present = app.state.routes.find((one) => one.name === route.name);
    if (present) retreat(back.dataset.to, [present]);
  } });
  const row = el("article", { class: "route", "data-route": route.name, "data-sides": route.sides.map((side) => side.upstream).join("\n"), "aria-label": `Route ${route.name}` },
    el("div", { class: "route-name" }, el("h3", {}, route.name), el("span", { class: "muted match" })),
    el("div", { class: "route-bar" },
      el("div", { class: "bar", role: "img" }, ...segments, ...marks),
      el("div", { class: "figures" }, ...figures, el("span", { class: "muted note" }))),
    el("div", { class: "route-rate" }, el("span", { class: "number big" }), el("span", { class: "muted" }, "requests/s")),
    el("div", { class: "route-actions" }, change, back),
    panel);
  row.parts = { segments, marks, figures, panel, change, back, match: row.querySelector(".match"), note: row.querySelector(".note"), bar: row.querySelector(".bar"), rate: row.querySelector(".route-rate .number") };
  return row;
}

const cssName = (text) => [...text].map((letter) => (/[A-Za-z0-9-]/.test(letter) ? letter : `_${letter.codePointAt(0)}`)).join("");

function updateRoute(row, route, state) {
  const parts = row.parts;
  const total = route.sides.reduce((sum, side) => sum + side.requestsPerSecond, 0);
  const counted = total * state.windowSeconds >= fewRequests;
  const observed = route.sides.map((side) => (counted ? side.requestsPerSecond / total : side.effectiveShare));
  row.classList.toggle("few", !counted);
  let set = 0;
  route.sides.forEach((side, index) => {
    parts.segments[index].style.width = `${observed[index] * 100}%`;
    parts.segments[index].classList.toggle("dead", !side.available);
    const number = parts.figures[index].querySelector(".number");
    const isAstray = Math.abs(side.share - side.effectiveShare) > 0.0005;
    setText(number, isAstray ? `${percent(observed[index])} (set ${percent(side.share)})` : percent(observed[index]));
    parts.figures[index].classList.toggle("astray", isAstray);
    if (index > 0) parts.marks[index - 1].style.left = `${set * 100}%`;
    set += side.share;
  });
  const nobody = route.sides.every((side) => side.effectiveShare === 0);
  const dead = route.sides.filter((side) => side.weight > 0 && !side.available).map((side) => side.upstream);
  setText(parts.note, nobody ? "answers 503: no side can serve" : dead.length > 0
    ? `${dead.join(", ")} has no available endpoint` : counted ? "" : total === 0 ? "no requests now: shares as they would be" : "few requests: shares as they would be");
  row.classList.toggle("trouble", nobody || dead.length > 0);
  setText(parts.match, matchWords(app.matches.get(route.name)));
  setText(parts.rate, rate(total));
  setAttribute(parts.bar, "aria-label", route.sides.map((side, index) => `${side.upstream} ${percent(observed[index])}, set ${percent(side.share)}`).join("; "));
  const to = backTo(route, state);
  parts.back.hidden = to === null;
  if (to !== null) {
    parts.back.dataset.to = to;
    setText(parts.back, `Retreat to ${to}`);
  }
}

/** Where a route's retreat leads: its first side, unless all is there already or that side cannot serve. */
function backTo(route, state) {
  const able = route.sides.filter((side) => side.available);
  const to = (able[0] || route.sides[0]).upstream;
  return route.sides.every((side) => (side.upstream === to ? side.weight > 0 : side.weight === 0)) ? null : to;
}

// ---------------------------------------------------------------------------------------------------------- change panel

function togglePanel(name) {
  const row = [...byId("route-list").children].find((one) => one.dataset.route === name);
  if (!row) return;
  if (app.panels.has(name)) return closePanel(row, name);
  const route = app.state.routes.find((one) => one.name === name);
  const panel = new ChangePanel(row, route);
  app.panels.set(name, panel);
  row.parts.panel.replaceChildren(panel.form);
  row.parts.panel.hidden = false;
  setAttribute(row.parts.change, "aria-expanded", "true");
  panel.focus();
}

function closePanel(row, name) {
  app.panels.delete(name);
  row.parts.panel.hidden = true;
  row.parts.panel.replaceChildren();
  setAttribute(row.parts.change, "aria-expanded", "false");
  row.parts.change.focus();
}

/** Weights of one route, what they would bring, and a reason. */
class ChangePanel {
  constructor(row, route) {
    this.row = row;
    this.name = route.name;
    this.sides = route.sides.map((side) => side.upstream);
    // Small weights are told in parts of a hundred or a little more: 3 to 1 as 75 to 25.
    const sum = route.sides.reduce((total, side) => total + side.weight, 0);
    const factor = sum > 0 && sum < 100 ? Math.ceil(100 / sum) : 1;
    this.total = Math.min(sum > 0 ? sum * factor : 100, largestWeight);
    this.before = route.sides.map((side) => side.weight);
    this.weights = route.sides.map((side) => side.weight * factor);
    // One side may have to take all that two have now, and one weight has a limit.
    if (sum > largestWeight) this.weights = this.weights.map((weight) => Math.round(weight * (largestWeight / sum)));
    this.answer = null;
    this.serial = 0;
    const id = `change-${cssName(route.name)}`;
    this.numbers = route.sides.map((side, index) => el("input", {
      type: "number", id: `${id}-${index}`, min: 0, max: largestWeight, step: 1, inputmode: "numeric", value: this.weights[index],
      oninput: (event) => this.setWeight(index, event.target.valueAsNumber),
    }));
    const isPair = this.sides.length === 2;
    this.sliders = (isPair ? [0] : this.sides.map((_, index) => index)).map((index) => el("input", {
      type: "range", min: 0, max: this.total, step: Math.max(1, Math.round(this.total / 100)), value: this.weights[index],
      "aria-label": isPair ? `What ${this.sides[0]} gets; ${this.sides[1]} gets the rest` : `Weight of ${this.sides[index]}`,
      oninput: (event) => this.slide(index, event.target.valueAsNumber),
    }));
    this.shares = this.sides.map(() => el("span", { class: "number share" }));
    this.result = el("div", { class: "result", "aria-live": "off" });
    this.reason = el("input", { type: "text", id: `${id}-reason`, maxlength: 400, autocomplete: "off", oninput: () => this.settle() });
    this.force = el("input", { type: "checkbox", onchange: () => this.settle() });
    this.forceLine = el("label", { class: "check", hidden: true }, this.force, " Do it in spite of that; it needs a reason");
    this.apply = el("button", { type: "submit", class: "primary", disabled: true }, "Apply");
    this.error = el("p", { class: "error", role: "alert", hidden: true });
    const fields = this.sides.map((side, index) => el("div", { class: "field" },
      el("label", { for: this.numbers[index].id }, dot(side), side), this.numbers[index], this.shares[index]));
    const steps = isPair ? el("div", { class: "steps", role: "group", "aria-label": `Share of ${this.sides[1]}` },
      el("span", { class: "muted" }, `${this.sides[1]}:`),
      ...[0, 1, 5, 10, 25, 50, 75, 100].map((step) => el("button", { type: "button", class: "quiet", onclick: () => this.slide(0, Math.round(this.total * (100 - step) / 100)) }, `${step} %`))) : null;
    this.form = el("form", { onsubmit: (event) => this.submit(event), onkeydown: (event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        closePanel(this.row, this.name);
      }
    } },
    el("div", { class: isPair ? "fields pair" : "fields" }, ...(isPair ? [fields[0], el("div", { class: "slide" }, ...this.sliders), fields[1]]
      : fields.map((field, index) => el("div", { class: "line" }, field, this.sliders[index])))),
    steps, this.result,
    el("div", { class: "reason" }, el("label", { for: this.reason.id }, "Why? It goes into the journal."), this.reason),
    this.forceLine, this.error,
    el("div", { class: "buttons" }, this.apply, el("button", { type: "button", class: "quiet", onclick: () => closePanel(this.row, this.name) }, "Cancel")));
    this.settle();
    this.look();
  }

  focus() {
    this.sliders[0].focus();
  }

  slide(index, value) {
    this.weights[index] = Math.max(0, Math.min(value, this.total));
    if (this.sides.length === 2) this.weights[1 - index] = this.total - this.weights[index];
    this.numbers.forEach((number, at) => {
      number.value = String(this.weights[at]);
    });
    this.changed();
  }

  setWeight(index, value) {
    if (!Number.isInteger(value) || value < 0 || value > largestWeight) {
      this.weights[index] = null;
    } else {
      this.weights[index] = value;
    }
    this.changed();
  }

  changed() {
    this.answer = null;
    this.force.checked = false;
    this.settle();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), 200);
  }

  get isValid() {
    return this.weights.every((weight) => weight !== null);
  }

  /** Other shares than those in force. */
  get isOther() {
    const sum = (list) => list.reduce((total, weight) => total + weight, 0);
    const [mine, theirs] = [sum(this.weights), sum(this.before)];
    if (mine === 0 || theirs === 0) return mine !== theirs;
    return this.weights.some((weight, index) => weight * theirs !== this.before[index] * mine);
  }

  settle() {
    const sum = this.isValid ? this.weights.reduce((total, weight) => total + weight, 0) : 0;
    this.shares.forEach((share, index) => setText(share, this.isValid && sum > 0 ? percent(this.weights[index] / sum) : "–"));
    const shares = this.sides.map((side, index) => `${side} ${sum > 0 ? percent(this.weights[index] / sum) : "nothing"}`).join(", ");
    this.sliders.forEach((slider, index) => {
      if (this.isValid) slider.value = String(this.weights[this.sides.length === 2 ? 0 : index]);
      setAttribute(slider, "aria-valuetext", shares);
    });
    const objects = this.answer !== null && this.answer.objections.length > 0 || (this.isValid && sum === 0);
    this.forceLine.hidden = !objects;
    const isMeant = !objects || (this.force.checked && this.reason.value.trim() !== "");
    this.apply.disabled = !(isLive() && this.isValid && this.isOther && this.answer !== null && isMeant) && !(sum === 0 && this.isValid && this.isOther && isMeant && isLive());
    setText(this.apply, this.isValid && this.isOther ? `Apply: ${shares}` : "Apply");
  }

  get wanted() {
    return Object.fromEntries(this.sides.map((side, index) => [side, this.weights[index]]));
  }

  /** What it would bring, by a dry run. */
  async look() {
    const serial = ++this.serial;
    if (!this.isValid) return this.tell([el("p", { class: "error" }, "Weights are whole numbers from 0 to 1,000,000.")]);
    if (!this.isOther) return this.tell([el("p", { class: "muted" }, "As it is now. Move the slider, or type weights, to see what would change.")]);
    try {
      const answer = await ask("PUT", weightsPath(this.name, true), { weights: this.wanted });
      if (serial !== this.serial) return;
      if (!answer.ok) {
        this.tell(refusal(answer).map((line) => el("p", { class: "error" }, line)));
      } else {
        this.answer = answer.body;
        this.tell(outcome(answer.body));
      }
    } catch {
      if (serial === this.serial) this.tell([el("p", { class: "error" }, "The balancer does not answer.")]);
    }
    this.settle();
  }

  tell(nodes) {
    this.result.replaceChildren(...nodes);
  }

  async submit(event) {
    event.preventDefault();
    if (this.apply.disabled) return;
    this.apply.disabled = true;
    this.error.hidden = true;
    const body = { weights: this.wanted };
    if (this.reason.value.trim()) body.reason = this.reason.value.trim();
    if (this.force.checked && !this.forceLine.hidden) body.force = true;
    try {
      const answer = await ask("PUT", weightsPath(this.name, false), body, this.answer ? this.answer.etag : null);
      if (answer.ok) {
        announce(`${this.name}: ${answer.body.after.map((side) => `${side.upstream} ${percent(side.share)}`).join(", ")}. Done.`);
        return closePanel(this.row, this.name);
      }
      this.fail(answer.status === 412 ? ["Something changed meanwhile; this is what it would bring now. Apply again if it is still meant."] : refusal(answer));
      const present = app.state.routes.find((route) => route.name === this.name);
      if (present) this.before = present.sides.map((side) => side.weight);
      this.look();
    } catch {
      this.fail(["The balancer does not answer; whether the change was made, the journal tells."]);
    }
    this.settle();
  }

  fail(lines) {
    this.error.hidden = false;
    setText(this.error, lines.join(" "));
  }
}

/** The table of what a change brings, and what is to be said of it. */
function outcome(body) {
  const head = ["", "share", "requests/s", "each endpoint", "under way each"];
  const arrow = (before, after) => (before === after ? after : `${before} → ${after}`);
  const rows = body.after.map((after, index) => {
    const before = body.before[index];
    const load = body.loads.find((one) => one.upstream === after.upstream);
    const cells = [arrow(percent(before.share), percent(after.share))];
    if (load) {
      cells.push(arrow(rate(load.before.requestsPerSecond), rate(load.after.requestsPerSecond)));
      cells.push(arrow(rate(load.before.perEndpoint), rate(load.after.perEndpoint)));
      cells.push(arrow(rate(load.before.outstanding), rate(load.after.outstanding)));
    }
    return el("tr", {}, el("th", { scope: "row" }, dot(after.upstream), after.upstream), ...cells.map((cell) => el("td", { class: "number" }, cell)));
  });
  const notes = consequences(body);
  return [
    el("div", { class: "scroll" }, el("table", {}, el("thead", {}, el("tr", {}, ...head.map((word) => (word ? el("th", { scope: "col" }, word) : el("td", {}))))), el("tbody", {}, ...rows))),
    ...notes.map((note) => el("p", { class: `note-${note.level}` }, note.text)),
  ];
}

/** What a change of weights brings beyond its numbers. */
function consequences(body) {
  const notes = [];
  if (body.movedKeys !== undefined && body.movedKeys !== null) notes.push({ level: "calm", text: `${percent(body.movedKeys)} of the clients that stick to a side move to another.` });
  for (const objection of body.objections || []) notes.push({ level: "objection", text: `The guard objects: ${objection.message}` });
  for (const warning of body.warnings || []) notes.push({ level: "warning", text: warning });
  return notes;
}

// ------------------------------------------------------------------------------------------------------------------- sides

const metrics = [
  { key: "requestsPerSecond", name: "requests/s", words: rate, least: 1 },
  { key: "errors", name: "errors", words: errors, least: 0.01, alarm: 0.01 },
  { key: "p50Milliseconds", name: "p50", words: milliseconds, least: 1 },
  { key: "p99Milliseconds", name: "p99", words: milliseconds, least: 1 },
];
const plotPoints = 180;

/** One point every five seconds, as the balancer itself keeps them. */
function plot(state) {
  const at = Date.parse(state.at);
  if (app.plots.lastAt !== 0 && at - app.plots.lastAt < app.plots.interval * 1000 - 200) return;
  if (app.plots.lastAt !== 0) {
    app.plots.points.push(Object.fromEntries(state.sides.map((side) => [side.upstream, side.flow])));
    if (app.plots.points.length > plotPoints) app.plots.points.splice(0, app.plots.points.length - plotPoints);
  }
  app.plots.lastAt = at;
}

/** A round number not below it: scales must not move with every point. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999) || value;
}

function showSides(state) {
  const list = byId("side-list");
  const sides = app.order.map((name) => state.sides.find((side) => side.upstream === name)).filter((side) => side !== undefined);
  if (list.children.length !== sides.length) list.replaceChildren(...sides.map(sideColumn));
  setAttribute(list, "data-count", sides.length);
  const points = app.plots.points;
  const cursor = app.plots.cursor === null ? null : Math.min(app.plots.cursor, points.length - 1);
  const scales = Object.fromEntries(metrics.map((metric) => {
    const values = points.flatMap((point) => sides.map((side) => (point[side.upstream] || {})[metric.key] || 0));
    const present = sides.map((side) => side.flow[metric.key] || 0);
    return [metric.key, ceiling(Math.max(metric.least, ...values, ...present))];
  }));
  sides.forEach((side, index) => {
    const column = list.children[index];
    const up = side.availableEndpoints === side.endpoints ? `${plural(side.endpoints, "endpoint")}` : `${side.availableEndpoints} of ${plural(side.endpoints, "endpoint")}`;
    setText(column.parts.about, `${up} · ${grouped.format(side.outstanding)} under way${side.isWeighted ? "" : " · no weight"}`);
    column.classList.toggle("trouble", side.isWeighted && side.availableEndpoints === 0);
    metrics.forEach((metric, at) => {
      const shown = cursor === null || cursor < 0 ? side.flow[metric.key] : (points[cursor][side.upstream] || {})[metric.key];
      setText(column.parts.numbers[at], metric.words(shown));
      column.parts.numbers[at].classList.toggle("alarm", metric.alarm !== undefined && shown >= metric.alarm);
      const [line, area] = path(points, side.upstream, metric.key, scales[metric.key]);
      setAttribute(column.parts.lines[at], "d", line);
      setAttribute(column.parts.areas[at], "d", area);
      setText(column.parts.scales[at], `0 – ${metric.words(scales[metric.key])}`);
      const x = cursor === null || cursor < 0 ? null : xOf(cursor, points.length);
      setAttribute(column.parts.cursors[at], "d", x === null ? "" : `M${x} 0V40`);
    });
  });
  const moment = byId("moment");
  if (cursor === null || cursor < 0) setText(moment, "the last 15 minutes, all on one scale");
  else setText(moment, `as it was ${duration((points.length - 1 - cursor) * app.plots.interval)} ago`);
}

const xOf = (index, count) => plotPoints - count + index + 0.5;

/** A line through the points there are, and what lies below it; a gap where there are none. */
function path(points, upstream, key, scale) {
  let line = "";
  let area = "";
  let last = null;
  points.forEach((point, index) => {
    const value = (point[upstream] || {})[key];
    const x = xOf(index, points.length);
    if (value === null || value === undefined) {
      if (last !== null) area += `L${last} 39.5Z`;
      last = null;
      return;
    }
    const y = (39 - 37 * Math.min(value / scale, 1)).toFixed(2);
    line += `${last === null ? "M" : "L"}${x} ${y}`;
    area += last === null ? `M${x} 39.5L${x} ${y}` : `L${x} ${y}`;
    last = x;
  });
  if (last !== null) area += `L${last} 39.5Z`;
  return [line, area];
}

function sideColumn(side) {
  const parts = { numbers: [], lines: [], areas: [], cursors: [], scales: [] };
  const rows = metrics.map((metric) => {
    const line = svg("path", { class: `line tone-${tone(side.upstream)}` });
    const cursor = svg("path", { class: "cursor" });
    const number = el("span", { class: "number big" });
    const area = svg("path", { class: `area tone-${tone(side.upstream)}` });
    const scale = el("span", { class: "scale number" });
    parts.areas.push(area);
    parts.lines.push(line);
    parts.cursors.push(cursor);
    parts.numbers.push(number);
    parts.scales.push(scale);
    return el("div", { class: "plot" },
      el("span", { class: "metric" }, metric.name, scale),
      el("div", { class: "canvas", onpointermove: read, onpointerleave: () => readAt(null) },
        svg("svg", { viewBox: `0 0 ${plotPoints} 40`, preserveAspectRatio: "none", "aria-hidden": "true" },
          svg("path", { class: "grid", d: `M0 39.5H${plotPoints}M0 2H${plotPoints}` }), area, line, cursor)),
      number);
  });
  const about = el("span", { class: "muted" });
  const column = el("div", { class: "side" }, el("div", { class: "side-head" }, dot(side.upstream), el("h3", {}, side.upstream), about), ...rows);
  column.parts = { ...parts, about };
  return column;
}

function read(event) {
  const box = event.currentTarget.getBoundingClientRect();
  const count = app.plots.points.length;
  const at = Math.floor((event.clientX - box.left) / box.width * plotPoints) - (plotPoints - count);
  readAt(count === 0 || at < 0 ? null : Math.min(at, count - 1));
}

function readAt(index) {
  app.plots.cursor = index;
  if (app.state !== null) showSides(app.state);
}

// --------------------------------------------------------------------------------------------------------------- migration

/** Verbs that a plan takes in each state, the likely one first. */
const verbs = {
  ready: ["start"], stopped: ["start"], retreated: ["start", "stop"], running: ["advance", "pause", "retreat", "stop"],
  waiting: ["approve", "advance", "pause", "retreat", "stop"], frozen: ["advance", "pause", "retreat", "stop"],
  inconclusive: ["advance", "resume", "pause", "retreat", "stop"], paused: ["resume", "retreat", "stop"],
  retreating: ["retreat"], complete: [],
};
const verbWords = {
  start: "Start…", advance: "Advance…", pause: "Pause…", resume: "Resume…", approve: "Approve…", retreat: "Retreat…", stop: "Stop…",
};

/** Whether this balancer knows of plans: its own description tells. Asked once a connection. */
async function findMigrations() {
  app.migrations.isKnown = false;
  try {
    const answer = await ask("GET", "/api/v1/openapi.json");
    app.migrations.isKnown = answer.ok && "/api/v1/migrations" in answer.body.paths;
  } catch {
    // The stream tells whether there is a connection.
  }
  await refreshMigrations();
}

/** Where the balancer has plans, every two seconds; where it has none, with the next table. */
async function refreshMigrations() {
  clearTimeout(app.migrations.timer);
  app.migrations.timer = setTimeout(refreshMigrations, 2000);
  if (document.hidden || !isLive() || !app.migrations.isKnown) return;
  if (app.migrations.list.length === 0 && app.migrations.of === app.state.generation) return;
  const of = app.state.generation;
  try {
    const answer = await ask("GET", "/api/v1/migrations");
    app.migrations.of = of;
    app.migrations.list = answer.ok ? answer.body.migrations : [];
    await refreshDifferences();
    if (app.state !== null) showMigration(app.state);
  } catch {
    // The stream tells whether there is a connection.
  }
}

/** Plans with their gates; where there is none, how to do without. */
function showMigration(state) {
  const split = state.routes.find((route) => route.sides.length === 2);
  const plans = app.migrations.list;
  const section = byId("migration");
  section.hidden = !split && plans.length === 0;
  setText(byId("migration-title"), plans.length === 0 ? "Moving step by step" : plans.length === 1 ? "Migration" : "Migrations");
  const body = byId("migration-body");
  if (plans.length === 0) {
    if (split && body.dataset.shows !== `route ${split.name}`) {
      body.dataset.shows = `route ${split.name}`;
      body.replaceChildren(teach(split));
    }
    return;
  }
  const names = plans.map((plan) => plan.name).join("\n");
  if (body.dataset.shows !== `plans ${names}`) {
    body.dataset.shows = `plans ${names}`;
    body.replaceChildren(...plans.map((plan) => planView(plan)));
  }
  plans.forEach((plan, index) => updatePlan(body.children[index], plan));
  enable();
}

function teach(split) {
  const [from, to] = split.sides.map((side) => side.upstream);
  const line = (share, reason) => `balancer weight ${word(split.name)} ${word(from)}=${100 - share} ${word(to)}=${share} --reason "${reason}"`;
  return el("details", {}, el("summary", {}, `From ${from} to ${to} in small steps, with a look between them`),
    el("p", {}, "Each step shows what would change before it changes anything, and can be undone. Stay at each one until the plots above have been level for as long as your worst case takes to show."),
    el("pre", { tabindex: 0 }, [line(1, "first clients"), line(5, "no errors at 1 %"), line(25, "p99 as before"), line(50, "half"), line(100, "all"),
      `balancer weight ${word(split.name)} ${word(from)}=100 ${word(to)}=0 --reason "back at once, from any step"`].join("\n")));
}

/** A name as a shell takes it. */
const word = (text) => (/^[A-Za-z0-9._/-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

function planView(plan) {
  const parts = {
    state: el("span", { class: "tag" }), about: el("span", { class: "muted" }), next: el("p", { class: "next" }), stages: el("ol", { class: "track", tabindex: 0, "aria-label": "Stages" }),
    gates: el("tbody", {}), buttons: el("span", { class: "route-actions" }), differences: el("div", { class: "differences", hidden: true }),
    copies: el("p", { class: "copies" }), compared: el("p", { class: "muted" }), classes: el("tbody", {}), examples: el("div", { class: "examples", "aria-live": "off" }),
  };
  const classHead = ["class", "state", "where", "what", "seen", "confirmed", "asked again", "came again", ""];
  parts.differences.append(el("h4", {}, "Copies and differences"), parts.copies, parts.compared,
    el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Classes of differences" }, el("table", { class: "classes" },
      el("thead", {}, el("tr", {}, ...classHead.map((text) => el(text ? "th" : "td", text ? { scope: "col" } : {}, text)))), parts.classes)), parts.examples);
  const head = ["gate", plan.to, plan.from, "difference, and what may be", "evidence against", "evidence for", ""];
  const node = el("article", { class: "plan", "aria-label": `Migration ${plan.name}` },
    el("div", { class: "plan-head" }, el("h3", {}, plan.name), parts.state, parts.about, parts.buttons),
    parts.stages, parts.next,
    el("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Gates" }, el("table", { class: "gates" }, el("thead", {}, el("tr", {}, ...head.map((text) => el(text ? "th" : "td", text ? { scope: "col" } : {}, text)))), parts.gates)), parts.differences);
  node.parts = parts;
  return node;
}

function updatePlan(node, plan) {
  const parts = node.parts;
  setText(parts.state, plan.state);
  setAttribute(node, "data-state", plan.state);
  const since = plan.stageSince ? `, in this stage since ${ago(plan.stageSince)}` : "";
  setText(parts.about, `${plan.from} to ${plan.to}, ${plan.routes.join(", ")}: ${plan.share} % live${plan.mirror > 0 ? `, ${plan.mirror} % copied` : ""}${since}`);
  const notes = [plan.next];
  if (plan.reason) notes.push(plan.reason);
  if (plan.retreat) notes.push(plan.retreat.words);
  if (plan.wouldHaveRetreated) notes.push("It would have gone back, and enforces nothing.");
  if (plan.remainingSeconds) notes.push(`The gates should pass in ${duration(plan.remainingSeconds)} at this rate.`);
  setText(parts.next, `Next: ${notes.join(" · ")}`);
  const stages = plan.stages.map((stage) => `${stage.stage}${stage.state}`).join();
  if (parts.stages.dataset.of !== stages) {
    parts.stages.dataset.of = stages;
    parts.stages.replaceChildren(...plan.stages.map((stage) => el("li", { "data-state": stage.state, "aria-current": stage.state === "present" ? "step" : null },
      el("span", { class: "held" }, el("span", { class: "fill" })),
      el("b", {}, stage.kind === "retire" ? "retire" : stage.kind === "mirror" ? `copy ${stage.mirror} %` : `${stage.share} %`),
      el("span", { class: "muted" }, `${duration(stage.holdSeconds)}${stage.approval ? ", approval" : ""}`))));
  }
  plan.stages.forEach((stage, index) => {
    const part = stage.state === "done" ? 1 : stage.state === "present" ? Math.min(1, plan.holdSeconds > 0 ? plan.heldSeconds / plan.holdSeconds : 1) : 0;
    parts.stages.children[index].querySelector(".fill").style.width = `${part * 100}%`;
  });
  parts.gates.replaceChildren(...plan.gates.filter((gate) => gate.verdict !== "off").map((gate) => gateRow(gate)));
  updateDifferences(parts, plan);
  const actions = verbs[plan.state] || [];
  if (parts.buttons.dataset.of !== plan.state) {
    parts.buttons.dataset.of = plan.state;
    parts.buttons.replaceChildren(...actions.map((verb, index) => el("button", {
      type: "button", class: index === 0 ? "operator" : "operator quiet", "data-change": true, "aria-label": `${verb} migration ${plan.name}`, onclick: () => order(plan.name, verb),
    }, verbWords[verb])));
  }
}

// ------------------------------------------------------------------------------------------------------------- differences

/** Classes that a plan shows; all of them are at the API and in `balancer differences`. */
const shownClasses = 20;

async function refreshDifferences() {
  for (const plan of app.migrations.list) {
    const known = app.differences.get(plan.name) || { body: null, open: null, examples: null };
    app.differences.set(plan.name, known);
    const path = `/api/v1/migrations/${encodeURIComponent(plan.name)}/differences`;
    const answer = await ask("GET", path);
    known.body = answer.ok ? answer.body : null;
    known.flow = copyFlow(known.flow || [], known.body, performance.now() / 1000);
    if (known.open === null || known.body === null) continue;
    // Examples are what users were answered: for operators.
    const one = await ask("GET", `${path}/${encodeURIComponent(known.open)}`);
    known.examples = one.ok ? one.body.examples || [] : null;
    known.refused = one.ok ? null : refusal(one).join(" ");
  }
}

/** Nothing was lost by these: such requests are never copied, or another side has answered them. */
const noLoss = new Set(["method", "except", "answered-elsewhere"]);
/** Seconds over which copies are told. */
const copyWindow = 10;

/** What has been counted in the last seconds, the oldest first: `{at, copied, lost}`. */
function copyFlow(flow, body, at) {
  if (body === null || body.copied === undefined) return [];
  const lost = Object.entries(body.dropped).reduce((sum, [reason, count]) => (noLoss.has(reason) ? sum : sum + count), 0);
  const last = flow[flow.length - 1];
  // Another process counts from 0.
  const kept = last && (body.copied < last.copied || lost < last.lost) ? [] : flow.filter((one) => one.at >= at - copyWindow);
  return [...kept, { at, copied: body.copied, lost }];
}

function updateCopies(part, known) {
  const [first, last] = [known.flow[0], known.flow[known.flow.length - 1]];
  part.hidden = last === undefined;
  if (part.hidden) return;
  const seconds = last.at - first.at;
  const [copied, lost] = [last.copied - first.copied, last.lost - first.lost];
  const rate = (count) => (seconds > 0 ? `${count === 0 ? "0" : (count / seconds).toFixed(1)}/s` : "…");
  const reasons = (isLoss) => Object.entries(known.body.dropped).filter(([reason]) => noLoss.has(reason) !== isLoss)
    .sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${grouped.format(count)} ${reason}`).join(", ");
  const isMuch = lost > 0.1 * (lost + copied);
  const words = [`${rate(copied)} copied, ${grouped.format(last.copied)} so far`, `${rate(lost)} lost${reasons(true) ? `, so far ${reasons(true)}` : ""}`];
  if (isMuch) words.push("more than one in ten is lost: comparisons take longer");
  if (reasons(false)) words.push(`not to be copied: ${reasons(false)}`);
  setAttribute(part, "data-level", isMuch ? "attention" : "calm");
  setText(part, `Copies: ${words.join(" · ")}`);
}

function updateDifferences(parts, plan) {
  const known = app.differences.get(plan.name);
  const body = known ? known.body : null;
  parts.differences.hidden = body === null || (body.compared === 0 && body.classes.length === 0 && plan.mirror === 0);
  if (parts.differences.hidden) return;
  updateCopies(parts.copies, known);
  const results = Object.entries(body.results).filter(([, count]) => count > 0).map(([name, count]) => `${grouped.format(count)} ${name}`);
  const more = body.classes.length > shownClasses ? ` · ${grouped.format(body.classes.length - shownClasses)} more classes: balancer differences ${plan.name}` : "";
  setText(parts.compared, `${plural(body.compared, "answer")} compared${results.length > 0 ? `: ${results.join(", ")}` : ""} · the old side asked again ${grouped.format(body.rechecks)} times${more}`);
  const classes = body.classes.slice(0, shownClasses);
  const key = JSON.stringify([classes, known.open, known.examples, known.refused]);
  if (parts.differences.dataset.of === key) return;
  parts.differences.dataset.of = key;
  const held = document.activeElement.closest("button[data-class]");
  const mark = held && parts.classes.contains(held) ? `${held.dataset.class} ${held.dataset.verb}` : null;
  parts.classes.replaceChildren(...classes.map((one) => classRow(plan.name, one, known)));
  parts.examples.replaceChildren(...examplesOf(known, plan));
  if (mark) [...parts.classes.querySelectorAll("button[data-class]")].find((button) => `${button.dataset.class} ${button.dataset.verb}` === mark)?.focus({ preventScroll: true });
}

function classRow(name, one, known) {
  const isOpen = known.open === one.number;
  const look = el("button", {
    type: "button", class: "quiet operator", "data-class": one.number, "data-verb": "look", "aria-expanded": String(isOpen), "aria-label": `Examples of ${one.number}`,
    onclick: async () => {
      known.open = isOpen ? null : one.number;
      known.examples = null;
      known.refused = null;
      await refreshDifferences().catch(() => {});
      showMigration(app.state);
    },
  }, isOpen ? "Close" : "Look");
  const verb = one.state === "accepted" ? "reopen" : "accept";
  const judge = el("button", {
    type: "button", class: "quiet operator", "data-change": true, "data-class": one.number, "data-verb": verb, "aria-label": `${verb} ${one.number}`, onclick: () => judgeClass(name, one, verb),
  }, verb === "accept" ? "Accept…" : "Reopen…");
  return el("tr", { "data-class-state": one.state, class: one.state === "accepted" ? "accepted" : "" },
    el("th", { scope: "row" }, one.number), el("td", {}, el("span", { class: "tag" }, one.state), one.accepted ? el("span", { class: "why" }, `“${one.accepted}”`) : null),
    el("td", {}, `${one.route} ${one.template}`), el("td", {}, `${one.kind}${one.path ? ` ${one.path}` : ""}`),
    ...[one.seen, one.confirmed, one.rechecks, one.repeated].map((count) => el("td", { class: "number" }, grouped.format(count))),
    el("td", { class: "set" }, look, judge));
}

/** Two at most, the old answer left and the new one right, as the sides above. */
function examplesOf(known, plan) {
  if (known.open === null) return [];
  if (known.refused) return [el("p", { class: "error" }, known.refused)];
  if (known.examples === null) return [];
  if (known.examples.length === 0) return [el("p", { class: "muted" }, `${known.open}: no example is kept.`)];
  const side = (upstream, status, value) => el("div", { class: "example-side" }, dot(upstream), el("b", {}, upstream), status ? ` ${status}` : "", el("pre", { tabindex: 0 }, value ?? "nothing"));
  return known.examples.slice(0, 2).map((example) => el("div", { class: "example" },
    el("p", {}, el("code", {}, `${example.method} ${example.target}`), ` ${example.place}`),
    el("div", { class: "pair" }, side(plan.from, example.oldStatus, example.old), side(plan.to, example.newStatus, example.new))));
}

function judgeClass(name, one, verb) {
  confirmChange({
    title: `${verb} ${one.number} of ${name}`,
    submit: verb === "accept" ? "Accept" : "Reopen",
    needsReason: true,
    body: [el("p", {}, `${one.route} ${one.template}: ${one.kind}${one.path ? ` ${one.path}` : ""}, seen ${grouped.format(one.seen)} times.`),
      el("p", { class: "muted" }, verb === "accept" ? "It is counted on, and holds no stage back any more." : "It counts against the new side again.")],
    apply: async (reason) => {
      const answer = await ask("POST", `/api/v1/migrations/${encodeURIComponent(name)}/differences/${encodeURIComponent(one.number)}/${verb}`, { reason });
      if (answer.ok) await refreshDifferences();
      if (answer.ok) showMigration(app.state);
      return answer.ok ? [] : refusal(answer);
    },
  });
}

// ---------------------------------------------------------------------------------------------------------------- replicas

/** Every few seconds, where there are others. */
async function refreshReplicas() {
  clearTimeout(app.replicas.timer);
  app.replicas.timer = setTimeout(refreshReplicas, 3000);
  if (document.hidden || !isLive() || !app.state.cluster) return;
  try {
    const answer = await ask("GET", "/api/v1/cluster");
    if (!answer.ok) return;
    app.replicas.body = answer.body;
    if (app.state !== null) showReplicas(app.state);
  } catch {
    // The stream tells whether there is a connection.
  }
}

function showReplicas(state) {
  const cluster = state.cluster;
  byId("replicas").hidden = !cluster;
  if (!cluster) return;
  const leads = cluster.leader ? `${cluster.leader} leads` : "nobody leads";
  const cut = cluster.cutOffSeconds === undefined ? "" : ` · cut off for ${duration(cluster.cutOffSeconds)}: ${cluster.reason}`;
  setText(byId("replicas-note"), `${cluster.settled} of ${cluster.present} have the last change in force · ${leads} · this is ${cluster.replica}${cut}`);
  byId("replicas").classList.toggle("trouble", cut !== "");
  const body = app.replicas.body;
  const remarks = [...cluster.remarks, ...(body ? body.holds.map((hold) => `no plan may rise: ${hold}`) : [])];
  const list = byId("replicas-remarks");
  list.hidden = remarks.length === 0;
  if (list.dataset.of !== remarks.join("\n")) {
    list.dataset.of = remarks.join("\n");
    list.replaceChildren(...remarks.map((text) => el("li", {}, text)));
  }
  if (body === null) return;
  byId("replicas-body").replaceChildren(...body.replicas.map((one) => {
    const marks = [one.name === body.leader ? "leads" : "", one.name === body.replica ? "this one" : ""].filter((mark) => mark);
    return el("tr", { "data-present": one.present },
      el("th", { scope: "row" }, one.name, ...marks.map((mark) => el("span", { class: "tag" }, mark))),
      el("td", {}, one.present ? one.trouble || "there" : "gone"), el("td", {}, one.version), el("td", { title: one.file }, one.file.slice(0, 8)),
      el("td", { class: "number" }, String(one.sequence)), el("td", { class: "number" }, one.lagSeconds > 0 ? duration(one.lagSeconds) : "–"),
      el("td", { class: "number", title: new Date(one.heard).toLocaleString() }, ago(one.heard)));
  }));
}

const gateValue = (gate, side) => {
  if (side.value === null || side.value === undefined) return "–";
  return gate.unit === "milliseconds" ? milliseconds(side.value) : `${Math.round(side.value * 100) / 100} %`;
};

function gateRow(gate) {
  const counted = (side) => `${gateValue(gate, side)} (${gate.unit === "milliseconds" ? grouped.format(side.of) : `${grouped.format(side.bad)} of ${grouped.format(side.of)}`})`;
  return el("tr", { "data-verdict": gate.verdict },
    el("th", { scope: "row" }, gate.gate, gate.route ? el("span", { class: "muted" }, ` ${gate.route}`) : null),
    el("td", { class: "number" }, counted(gate.new)), el("td", { class: "number" }, counted(gate.old)),
    el("td", {}, intervalDrawing(gate)), el("td", {}, evidenceBar(gate.retreat, "against")), el("td", {}, gate.advance ? evidenceBar(gate.advance, "for") : "–"),
    el("td", { class: "verdict" }, gate.verdict, gate.verdict === "collecting" && gate.new.of < gate.minimum ? ` ${grouped.format(gate.new.of)} of ${grouped.format(gate.minimum)}`
      : gate.remainingSeconds ? `, ${duration(gate.remainingSeconds)}` : ""));
}

/** The interval against the margin: nought left of the middle, what may be up to the first mark, what must not be from the second on. */
function intervalDrawing(gate) {
  if (gate.margin === null || gate.margin === undefined) return "–";
  const unit = gate.unit === "milliseconds" ? " %" : " points";
  const low = gate.interval ? gate.interval[0] : gate.estimate;
  const high = gate.interval ? gate.interval[1] : gate.estimate;
  // What is far beyond the margin only shows that it is: the marks stay where they can be told apart.
  const reach = Math.max(gate.margin * 1.6, Math.min(gate.margin * 4, Math.max(Math.abs(low ?? 0), Math.abs(high ?? 0))));
  const x = (value) => 60 + 56 * Math.max(-1, Math.min(1, value / reach));
  const words = gate.estimate === null || gate.estimate === undefined ? "nothing known yet" : `${round(gate.estimate)}${unit}, surely between ${round(low)} and ${round(high)}; may be ${round(gate.tolerance)}, must not be ${round(gate.margin)}`;
  const known = low !== null && low !== undefined;
  return el("span", { class: "interval", title: words },
    svg("svg", { viewBox: "0 0 120 20", role: "img", "aria-label": words },
      svg("path", { class: "grid", d: "M4 10H116M60 5V15" }), svg("path", { class: "may", d: `M${x(gate.tolerance)} 4V16` }), svg("path", { class: "must", d: `M${x(gate.margin)} 2V18` }),
      known ? svg("path", { class: "range", d: `M${x(low)} 10H${Math.max(x(high), x(low) + 1)}` }) : null,
      known && gate.estimate !== null && gate.estimate !== undefined ? svg("circle", { cx: x(gate.estimate), cy: 10, r: 3.2 }) : null),
    el("span", { class: "number" }, known ? `${round(gate.estimate)}${unit}` : ""));
}

const round = (value) => (value === null || value === undefined ? "–" : `${value > 0 ? "+" : ""}${Math.round(value * 1000) / 1000}`);

function evidenceBar(test, kind) {
  const part = Math.max(0, Math.min(1, test.evidence / test.threshold));
  const fill = el("span", { class: `fill ${kind}` });
  fill.style.width = `${part * 100}%`;
  const words = `${Math.round(test.evidence * 100) / 100} of ${Math.round(test.threshold * 100) / 100}`;
  return el("span", { class: "evidence" }, el("span", { class: "held", role: "img", "aria-label": words }, fill), el("span", { class: "number muted" }, words));
}

/** An operator's word to a plan. */
function order(name, verb) {
  const path = (dryRun) => `/api/v1/migrations/${encodeURIComponent(name)}/${verb}${dryRun ? "?dryRun=true" : ""}`;
  confirmChange({
    title: `${verb} ${name}`,
    submit: verbWords[verb].replace("…", ""),
    needsReason: verb === "retreat",
    body: [],
    preview: async () => {
      const answer = await ask("POST", path(true), { reason: "to see what it would bring" });
      if (!answer.ok) return refusal(answer).map((text) => ({ level: answer.status === 409 ? "objection" : "error", text }));
      return [...answer.body.steps.map((text) => ({ level: "calm", text })), ...answer.body.warnings.map((text) => ({ level: "warning", text }))];
    },
    apply: async (reason, force) => {
      const answer = await ask("POST", path(false), { ...(reason ? { reason } : {}), ...(force ? { force: true } : {}) });
      app.migrations.of = null;
      if (answer.ok) await refreshMigrations();
      return answer.ok ? [] : refusal(answer);
    },
  });
}

// --------------------------------------------------------------------------------------------------------------- endpoints

const rowHeight = 44;
/** Rows of a side that are shown without a window of their own. */
const wholeRows = 12;
const pageRows = 60;
const states = {
  up: ["up", "M3.5 8.5l3 3 6-7"], starting: ["starting", "M8 3v5l3 2"], down: ["down", "M4 4l8 8M12 4l-8 8"],
  ejected: ["ejected", "M8 3v6M8 12v.5"], refused: ["refused", "M4 8h8"], draining: ["draining", "M8 3v8M5 8.5l3 3 3-3"],
  maintenance: ["maintenance", "M5 4v8M11 4v8"],
};

function showEndpoints(state) {
  const container = byId("endpoint-groups");
  const sides = app.order.map((name) => state.sides.find((side) => side.upstream === name)).filter((side) => side !== undefined);
  for (const name of [...app.endpoints.groups.keys()]) {
    if (!sides.some((side) => side.upstream === name)) {
      app.endpoints.groups.get(name).node.remove();
      app.endpoints.groups.delete(name);
    }
  }
  for (const side of sides) {
    let group = app.endpoints.groups.get(side.upstream);
    if (!group) {
      group = new EndpointGroup(side.upstream);
      app.endpoints.groups.set(side.upstream, group);
      container.append(group.node);
    }
    group.count = side.endpoints;
    setText(group.about, side.endpoints === 0 ? "none: “endpoints”: [\"10.0.0.1:3301\"] in routes.json adds one"
      : side.availableEndpoints === side.endpoints ? `${plural(side.endpoints, "endpoint")}, all available` : `${side.availableEndpoints} of ${side.endpoints} available`);
    const troubles = state.troubles.filter((trouble) => trouble.upstream === side.upstream);
    // Where not all can be seen, the ones in trouble are named.
    setText(group.ill, side.endpoints <= wholeRows ? "" : troubles.slice(0, 3).map((one) => `${one.address} ${one.availability} for ${duration(one.seconds)}`).join(", ")
      + (troubles.length > 3 ? ` and ${troubles.length - 3} more` : ""));
    group.draw();
  }
  setText(byId("endpoints-note"), "the last 64 probes: height is time, a cross one that failed");
}

/** Every few seconds, and only those that can be seen. */
async function refreshEndpoints() {
  clearTimeout(app.endpoints.timer);
  app.endpoints.timer = setTimeout(refreshEndpoints, 3000);
  if (document.hidden || !isLive()) return;
  for (const group of [...app.endpoints.groups.values()]) await group.refresh();
}

class EndpointGroup {
  constructor(upstream) {
    this.upstream = upstream;
    this.count = 0;
    /** What is known, from `from` on. */
    this.from = 0;
    this.rows = [];
    this.about = el("span", { class: "muted" });
    this.ill = el("span", { class: "ill" });
    this.body = el("div", { class: "rows", role: "rowgroup" });
    this.window = el("div", { class: "window", onscroll: () => this.scrolled() }, this.body);
    this.table = el("div", { class: "endpoints", role: "table", "aria-label": `Endpoints of ${upstream}` },
      el("div", { class: "row head", role: "row" }, ...["endpoint", "state", "since", "why", "under way", "probes"].map((text) => el("span", { role: "columnheader" }, text)),
        el("span", { role: "columnheader", class: "operator" }, el("span", { class: "unseen" }, "set"))),
      this.window);
    this.node = el("div", { class: "group" }, el("div", { class: "group-head" }, dot(upstream), el("h3", {}, upstream), this.about, this.ill), this.table);
    this.nodes = new Map();
  }

  get isWindowed() {
    return this.count > wholeRows;
  }

  get first() {
    return this.isWindowed ? Math.max(0, Math.floor(this.window.scrollTop / rowHeight) - 4) : 0;
  }

  get last() {
    return this.isWindowed ? Math.min(this.count, this.first + Math.ceil(this.window.clientHeight / rowHeight) + 8) : this.count;
  }

  scrolled() {
    this.draw();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refresh(), 80);
  }

  async refresh() {
    const from = Math.max(0, Math.min(this.first - 10, this.count - pageRows));
    try {
      const answer = await ask("GET", `/api/v1/upstreams?upstream=${encodeURIComponent(this.upstream)}&from=${from}&limit=${pageRows}`);
      if (!answer.ok || answer.body.upstreams.length !== 1) return;
      this.from = from;
      this.rows = answer.body.upstreams[0].endpoints;
      this.draw();
    } catch {
      // The stream tells whether there is a connection.
    }
  }

  draw() {
    this.table.hidden = this.count === 0;
    setAttribute(this.table, "aria-rowcount", this.count + 1);
    this.window.classList.toggle("windowed", this.isWindowed);
    if (this.isWindowed) setAttribute(this.window, "tabindex", 0);
    this.body.style.height = this.isWindowed ? `${this.count * rowHeight}px` : "";
    const wanted = new Set();
    for (let index = this.first; index < this.last; index += 1) {
      const endpoint = this.rows[index - this.from];
      if (!endpoint) continue;
      wanted.add(endpoint.address);
      let node = this.nodes.get(endpoint.address);
      if (!node) {
        node = endpointRow(this.upstream, endpoint);
        this.nodes.set(endpoint.address, node);
      }
      updateEndpoint(node, endpoint, index);
      if (this.isWindowed) node.style.top = `${index * rowHeight}px`;
      if (node.parentNode !== this.body) this.body.append(node);
    }
    for (const [address, node] of this.nodes) {
      if (wanted.has(address) || node.contains(document.activeElement)) continue;
      node.remove();
      this.nodes.delete(address);
    }
  }
}

function endpointRow(upstream, endpoint) {
  const icon = svg("path", {});
  const set = ["ready", "drain", "maintenance"].map((state) => el("button", {
    type: "button", class: "quiet", "data-change": true, onclick: () => administer(upstream, endpoint.address, state),
    "aria-label": `${state} ${endpoint.address} of ${upstream}`,
  }, state));
  const parts = {
    icon, set, state: el("span", {}), since: el("span", { role: "cell", class: "since" }), why: el("span", { role: "cell", class: "why" }),
    load: el("span", { role: "cell", class: "number load" }), probes: svg("svg", { viewBox: "0 0 192 24", preserveAspectRatio: "none", role: "img" }),
  };
  const node = el("div", { class: "row", role: "row" },
    el("span", { role: "cell", class: "address" }, endpoint.address),
    el("span", { role: "cell", class: "state" }, svg("svg", { class: "icon", viewBox: "0 0 16 16", "aria-hidden": "true" }, icon), parts.state),
    parts.since, parts.why, parts.load, el("span", { role: "cell", class: "probes" }, parts.probes), el("span", { role: "cell", class: "set operator" }, ...set));
  node.parts = parts;
  return node;
}

function updateEndpoint(node, endpoint, index) {
  const parts = node.parts;
  const [word, shape] = states[endpoint.availability] || [endpoint.availability, "M4 8h8"];
  setAttribute(node, "data-state", endpoint.availability);
  setAttribute(node, "aria-rowindex", index + 2);
  setAttribute(parts.icon, "d", shape);
  setText(parts.state, word);
  setText(parts.since, duration((now() - Date.parse(endpoint.since)) / 1000));
  setAttribute(parts.since, "title", `since ${new Date(endpoint.since).toLocaleString()}`);
  setText(parts.why, endpoint.reason);
  setAttribute(parts.why, "title", endpoint.reason || null);
  setText(parts.load, grouped.format(endpoint.outstanding));
  const present = endpoint.administrative;
  parts.set.forEach((button) => setAttribute(button, "aria-pressed", button.textContent === present ? "true" : "false"));
  drawProbes(parts.probes, endpoint.probes);
}

/** Height by the logarithm of the time: a millisecond is low, a second high. A failed one is a cross of full height. */
function drawProbes(node, probes) {
  const key = probes.length === 0 ? "" : `${probes.length}${probes[probes.length - 1].at}`;
  if (node.key === key) return;
  node.key = key;
  let ticks = "";
  let crosses = "";
  probes.forEach((probe, index) => {
    const x = (64 - probes.length + index) * 3 + 1.5;
    if (probe.cause === "ok") {
      const height = Math.max(2, Math.min(22, 2 + 6.5 * Math.log10(Math.max(1, probe.microseconds / 1000))));
      ticks += `M${x} 24V${(24 - height).toFixed(1)}`;
    } else {
      crosses += `M${x - 1.2} 2l2.4 20M${x + 1.2} 2l-2.4 20`;
    }
  });
  node.replaceChildren(svg("path", { class: "tick", d: ticks }), svg("path", { class: "cross", d: crosses }));
  const failed = probes.filter((probe) => probe.cause !== "ok").length;
  const last = probes[probes.length - 1];
  setAttribute(node, "aria-label", !last ? "not probed" : `${failed} of the last ${probes.length} probes failed; the last: ${last.cause}${last.status ? ` ${last.status}` : ""} in ${milliseconds(last.microseconds / 1000)}`);
}

function administer(upstream, address, state) {
  const words = {
    ready: "takes requests as its health allows, and is probed.", drain: "finishes what it has and gets nothing new; it is still probed.",
    maintenance: "finishes what it has, gets nothing new and is not probed.",
  };
  confirmChange({
    title: `${address} of ${upstream}: ${state}`,
    submit: `Set to ${state}`,
    needsReason: false,
    body: [el("p", {}, `It ${words[state]}`)],
    apply: async (reason, force) => {
      const body = { administrative: state, upstream };
      if (reason) body.reason = reason;
      if (force) body.force = true;
      const answer = await ask("PUT", `/api/v1/endpoints/${encodeURIComponent(address)}`, body);
      if (answer.ok) await refreshEndpoints();
      return answer.ok ? [] : refusal(answer);
    },
  });
}

// ----------------------------------------------------------------------------------------------------------------- journal

const journalPage = 20;
const journalLimit = 1000;

async function refreshJournal() {
  const of = app.state.journal;
  try {
    const answer = await ask("GET", `/api/v1/journal?limit=${journalPage}`);
    if (!answer.ok) return;
    app.journal.of = of;
    const fresh = answer.body.entries.slice().reverse();
    const oldest = fresh.length === 0 ? Infinity : fresh[fresh.length - 1].sequence;
    // Where more has come than one page holds, what is known does not follow on it: it is read anew, page by page.
    const meets = app.journal.entries.some((entry) => entry.sequence >= oldest - 1);
    const kept = meets ? app.journal.entries.filter((entry) => entry.sequence < oldest) : [];
    if (kept.length === 0) app.journal.before = answer.body.before ?? null;
    app.journal.entries = [...fresh, ...kept];
    if (app.journal.entries.length > journalLimit) {
      app.journal.entries.length = journalLimit;
      app.journal.before = app.journal.entries[journalLimit - 1].sequence;
    }
    showJournal();
    showFacts();
  } catch {
    // The stream tells whether there is a connection.
  }
}

async function older() {
  try {
    const answer = await ask("GET", `/api/v1/journal?limit=${journalPage}&before=${app.journal.before}`);
    if (!answer.ok) return;
    const first = app.journal.entries.length;
    app.journal.entries.push(...answer.body.entries.slice().reverse());
    app.journal.before = answer.body.before ?? null;
    showJournal();
    const next = byId("journal-list").children[first];
    if (next) next.focus();
  } catch {
    // The stream tells whether there is a connection.
  }
}

const author = (entry) => (entry.who && entry.origin === "api" ? entry.who : entry.who ? `${entry.origin} ${entry.who}` : entry.origin);
const canUndo = (entry) => ["weights", "administrative", "undo"].includes(entry.what) && entry.state === "applied" && entry.before && entry.after;

function showJournal() {
  byId("journal-empty").hidden = app.journal.entries.length > 0;
  byId("older").hidden = app.journal.before === null;
  const held = document.activeElement.closest("#journal-list li");
  const heldButton = held !== null && document.activeElement !== held;
  byId("journal-list").replaceChildren(...app.journal.entries.map((entry) => {
    const marks = [entry.forced ? "forced" : "", entry.undoes ? `undoes ${entry.undoes}` : "", entry.state !== "applied" ? entry.state : ""].filter((mark) => mark);
    return el("li", { class: entry.state === "applied" ? "" : "undone", tabindex: -1, "data-what": entry.what, "data-sequence": entry.sequence },
      el("time", { datetime: entry.at, title: new Date(entry.at).toLocaleString() }, ago(entry.at)),
      el("span", { class: "who" }, author(entry)),
      el("span", { class: "change" }, el("b", {}, entry.subject), entry.subject ? " " : "", entry.detail, ...marks.map((mark) => el("span", { class: "tag" }, mark)),
        entry.reason ? el("span", { class: "why" }, `“${entry.reason}”`) : null),
      el("span", { class: "what muted" }, `${entry.what} ${entry.sequence}`),
      canUndo(entry) ? el("button", { type: "button", class: "quiet operator", "data-change": true, onclick: () => undo(entry), "aria-label": `Undo change ${entry.sequence}` }, "Undo") : el("span", {}));
  }));
  enable();
  // Whoever is at an entry by keyboard stays there when another is added.
  const again = held === null ? null : [...byId("journal-list").children].find((item) => item.dataset.sequence === held.dataset.sequence);
  if (again) ((heldButton && again.querySelector("button")) || again).focus({ preventScroll: true });
}

function undo(entry) {
  const path = (dryRun) => `/api/v1/undo${dryRun ? "?dryRun=true" : ""}`;
  confirmChange({
    title: `Undo change ${entry.sequence}`,
    submit: "Undo",
    needsReason: true,
    body: [el("p", {}, `${entry.subject} ${entry.detail}, by ${author(entry)} ${ago(entry.at)}`)],
    preview: async () => {
      const answer = await ask("POST", path(true), { sequence: entry.sequence, reason: "to see what it would bring" });
      if (!answer.ok) return refusal(answer).map((text) => ({ level: answer.status === 409 ? "objection" : "error", text }));
      const notes = answer.body.routes.map((route) => ({ level: "calm", text: `${route.route}: ${route.after.map((side, index) => `${side.upstream} ${percent(route.before[index].share)} → ${percent(side.share)}`).join(", ")}` }));
      notes.push(...answer.body.endpoints.map((one) => ({ level: "calm", text: `${one.address}: ${one.before} → ${one.after}` })));
      return [...notes, ...consequences(answer.body)];
    },
    apply: async (reason, force) => {
      const answer = await ask("POST", path(false), { sequence: entry.sequence, reason, ...(force ? { force: true } : {}) });
      return answer.ok ? [] : refusal(answer);
    },
  });
}

// ----------------------------------------------------------------------------------------------------------------- dialogs

let asked = null;

/**
 * Asks once before a change. `preview` answers notes; objections among them want to be overruled. `apply` answers what went
 * wrong, a line each.
 */
async function confirmChange(question) {
  asked = { ...question, objects: false, isBusy: false };
  const present = asked;
  byId("ask-title").textContent = question.title;
  byId("ask-submit").textContent = question.submit;
  byId("ask-reason").value = "";
  byId("ask-reason").required = question.needsReason;
  byId("ask-force").checked = false;
  byId("ask-force-line").hidden = true;
  byId("ask-alone").checked = false;
  byId("ask-alone-line").hidden = true;
  byId("ask-error").hidden = true;
  const notes = el("div", { class: "notes" });
  byId("ask-body").replaceChildren(...question.body, notes);
  byId("ask-dialog").showModal();
  byId("ask-reason").focus();
  settleAsk();
  if (!question.preview) return;
  try {
    const told = await question.preview();
    if (asked !== present) return;
    notes.replaceChildren(...told.map((note) => el("p", { class: `note-${note.level}` }, note.text)));
    present.objects = told.some((note) => note.level === "objection");
    byId("ask-force-line").hidden = !present.objects;
    settleAsk();
  } catch {
    if (asked === present) notes.replaceChildren(el("p", { class: "note-error" }, "The balancer does not answer."));
  }
}

function settleAsk() {
  if (asked === null) return;
  const reason = byId("ask-reason").value.trim();
  const isMeant = !asked.objects || (byId("ask-force").checked && reason !== "");
  byId("ask-submit").disabled = asked.isBusy || !isLive() || (asked.needsReason && reason === "") || !isMeant;
}

async function submitAsk(event) {
  event.preventDefault();
  const question = asked;
  if (question === null || byId("ask-submit").disabled) return;
  question.isBusy = true;
  settleAsk();
  let failures = [];
  try {
    const alone = !byId("ask-alone-line").hidden && byId("ask-alone").checked;
    failures = await question.apply(byId("ask-reason").value.trim(), question.objects && byId("ask-force").checked, alone);
  } catch {
    failures = ["The balancer does not answer; whether the change was made, the journal tells."];
  }
  question.isBusy = false;
  // The question may have been closed meanwhile, and another one be open: the answer is told all the same.
  if (failures.length === 0) {
    if (asked === question) byId("ask-dialog").close();
    return announce(`${question.title}: done.`);
  }
  if (asked !== question) return announce(`${question.title}: ${failures.join(" ")}`);
  setText(byId("ask-error"), failures.join(" "));
  byId("ask-error").hidden = false;
  if (question.mayBeAlone && failures.some((line) => line.includes("cluster-unreachable"))) {
    byId("ask-alone-line").hidden = false;
  } else {
    question.objects = true;
    byId("ask-force-line").hidden = false;
  }
  settleAsk();
}

function announce(text) {
  setText(byId("live"), text);
  app.spoken.at = Date.now();
}

/** Until there is a token to try. */
function askToken(why) {
  return new Promise((done) => {
    setText(byId("token-why"), why);
    const dialog = byId("token-dialog");
    const form = byId("token-form");
    const submit = (event) => {
      event.preventDefault();
      app.token = byId("token").value.trim();
      byId("token").value = "";
      form.removeEventListener("submit", submit);
      dialog.close();
      done();
    };
    form.addEventListener("submit", submit);
    if (!dialog.open) dialog.showModal();
    byId("token").focus();
  });
}

// -------------------------------------------------------------------------------------------------------------------- keys

function jump(id) {
  const section = byId(id);
  section.scrollIntoView({ block: "start" });
  section.focus({ preventScroll: true });
}

const keys = {
  r: () => {
    const first = document.querySelector("#route-list .route");
    if (!first) return jump("routes");
    if (mayChange() && isLive() && !app.panels.has(first.dataset.route)) togglePanel(first.dataset.route);
    else first.parts.change.focus();
  },
  b: () => {
    if (!byId("retreat").hidden && !byId("retreat").disabled) byId("retreat").click();
  },
  s: () => {
    jump("sides");
    byId("side-list").focus({ preventScroll: true });
  },
  c: () => {
    if (!byId("replicas").hidden) jump("replicas");
  },
  e: () => jump("endpoints"),
  j: () => jump("journal"),
  t: () => turnTheme(),
  "?": () => byId("keys-dialog").showModal(),
};

function pressed(event) {
  const target = event.target;
  const isTyping = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping || document.querySelector("dialog[open]")) return;
  const action = keys[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function readByKey(event) {
  const count = app.plots.points.length;
  const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -12, PageDown: 12 }[event.key];
  if (event.key === "Escape") return readAt(null);
  if (step === undefined || count === 0) return;
  event.preventDefault();
  const from = app.plots.cursor === null ? count : app.plots.cursor;
  const to = from + step;
  readAt(to >= count ? null : Math.max(0, to));
  const words = app.order.slice(0, 2).map((name, index) => {
    const column = byId("side-list").children[index];
    return column ? `${name}: ${metrics.map((metric, at) => `${metric.name} ${column.parts.numbers[at].textContent}`).join(", ")}` : "";
  });
  announce(`${byId("moment").textContent}. ${words.join("; ")}`);
}

// ------------------------------------------------------------------------------------------------------------------- theme

const themes = ["auto", "light", "dark"];

function setTheme(theme) {
  if (theme === "auto") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.setAttribute("data-theme", theme);
  const button = byId("theme");
  setText(button, { auto: "Auto", light: "Light", dark: "Dark" }[theme]);
  setAttribute(button, "aria-label", `Theme: ${theme === "auto" ? "as the system has it" : theme}`);
  button.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Where nothing may be kept, it holds until the page is left.
  }
}

const turnTheme = () => setTheme(themes[(themes.indexOf(byId("theme").dataset.theme) + 1) % themes.length]);

// ------------------------------------------------------------------------------------------------------------------- start

function start() {
  let theme = null;
  try {
    theme = localStorage.getItem("theme");
  } catch {
    theme = null;
  }
  setTheme(themes.includes(theme) ? theme : "auto");
  byId("theme").addEventListener("click", turnTheme);
  byId("keys-button").addEventListener("click", () => byId("keys-dialog").showModal());
  byId("older").addEventListener("click", older);
  byId("retreat").addEventListener("click", () => {
    const offer = retreatOffer();
    if (offer) retreat(offer.to, offer.routes);
  });
  byId("ask-form").addEventListener("submit", submitAsk);
  byId("ask-cancel").addEventListener("click", () => byId("ask-dialog").close());
  byId("ask-dialog").addEventListener("close", () => {
    asked = null;
  });
  byId("ask-reason").addEventListener("input", settleAsk);
  byId("ask-force").addEventListener("change", settleAsk);
  // Without a token there is nothing to see.
  byId("token-dialog").addEventListener("cancel", (event) => event.preventDefault());
  document.addEventListener("keydown", pressed);
  byId("side-list").addEventListener("keydown", readByKey);
  byId("side-list").addEventListener("blur", () => readAt(null));
  document.addEventListener("visibilitychange", refreshEndpoints);
  // While the connection is lost nothing comes that would move the clock.
  setInterval(() => {
    if (app.lostSince !== null) show();
    for (const panel of app.panels.values()) panel.settle();
    settleAsk();
  }, 1000);
  setInterval(() => {
    for (const time of document.querySelectorAll("#journal-list time")) setText(time, ago(time.dateTime));
  }, 10000);
  follow();
}

start();
