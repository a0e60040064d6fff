"use strict";

const POLL_MS = 1000;
const TIMEOUT_MS = 2500;
const TREND_POINTS = 60;
const SHORT_OF_RATE = 0.95;  // below this share of the required rate a stream is marked
const SETTLED_S = 5;          // the window of the rate: before that it says little
const VIDEO_RETRY_MS = 2000;

const byId = (id) => document.getElementById(id);
const rows = new Map();    // stream key -> {row, cells, rates}
const videos = new Map();  // stream key -> {figure, image, rate, url, timer}
let lastSeen = null;

// Names come from apps, so everything reaches the page as text, never as markup.
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function number(value, digits) {
  return typeof value === "number" ? value.toFixed(digits) : "–";
}

function percent(ratio, digits) {
  return typeof ratio === "number" ? (ratio * 100).toFixed(digits) + " %" : "–";
}

function span(seconds) {
  const s = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const clock = `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}`;
  return s >= 86400 ? `${Math.floor(s / 86400)} d ${clock}` : clock;
}

function put(node, text, bad) {
  if (node.textContent !== text) node.textContent = text;
  node.classList.toggle("bad", Boolean(bad));
}

const key = (stream) => `${stream.pid}/${stream.name}`;
const byName = new Intl.Collator(undefined, {numeric: true});

// At its place without touching what is in place already: a picture that moves flickers.
function place(parent, node, index) {
  if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
}

// ---- header and devices

function showHeader(status) {
  const inForce = [...new Set(status.devices.map((device) => device.concurrency))].join(", ");
  const gated = status.policy.name !== "off";
  put(byId("policy"), gated ? `${status.policy.name}, k = ${inForce}` : "off: nothing waits");
  put(byId("stream-count"), String(status.streams.length));
  const total = status.totals;
  // Only streams that state a rate can be held to one.
  const rated = status.streams.filter((stream) => stream.fps_required !== null);
  const now = rated.reduce((sum, stream) => sum + stream.fps, 0);
  put(byId("rate"), rated.length > 0
      ? `${number(now, 1)} of ${number(total.fps_required, 1)} fps`
      : `${number(total.fps, 1)} fps`);
  put(byId("missed"), String(total.missed), total.missed > 0);
  showMps(status.mps);
  put(byId("uptime"), span(status.uptime_s));
  put(byId("about"), `staggerd ${status.version}, pid ${status.pid}, ${status.socket}`);
}

function showMps(mps) {
  byId("mps-fact").hidden = mps.mode === "off";
  const again = mps.restarts > 0 ? `, started again ${mps.restarts} x` : "";
  put(byId("mps"), mps.state + again, mps.state !== "running");
  byId("mps").title = mps.reason ?? "";
}

// Newest first. The apps that a fault broke are marked until they are gone.
function showFaults(faults) {
  const list = byId("faults");
  list.hidden = faults.length === 0;
  list.replaceChildren(...[...faults].reverse().map((fault) => {
    const names = fault.streams.map((stream) => stream.name).join(", ");
    const by = fault.culprit === null ? "" : ` by ${fault.culprit}`;
    const present = fault.streams.some((stream) => stream.present);
    return element("li", present ? "bad" : "",
        `${fault.device}: a fault ${span(fault.for_s)} ago${by} broke ${names} ` +
        `(${fault.streams[0].error})`);
  }));
}

function deviceRow(name) {
  const row = element("div", "device");
  const meter = element("div", "meter");
  meter.setAttribute("role", "meter");
  meter.setAttribute("aria-valuemin", "0");
  meter.setAttribute("aria-valuemax", "100");
  meter.setAttribute("aria-label", `${name} busy`);
  meter.append(element("span"));
  row.append(element("div", "name", name), meter, element("div", "number"), element("div", "detail"),
             element("div", "problem bad"));
  return row;
}

function gpuParts(gpu) {
  const parts = [gpu.model, `${number(gpu.memory_used_gb, 1)} of ${number(gpu.memory_gb, 1)} GB`];
  if (gpu.gpu_utilisation_ratio !== null) parts.push(`GPU ${percent(gpu.gpu_utilisation_ratio, 0)}`);
  return parts;
}

function showDevices(devices) {
  const box = byId("devices");
  const names = devices.map((device) => device.name).join("\n");
  if (box.dataset.names !== names) {
    box.dataset.names = names;
    box.replaceChildren(...devices.map((device) => deviceRow(device.name)));
  }
  devices.forEach((device, i) => {
    const [, meter, busy, detail, problem] = box.children[i].children;
    const ratio = device.utilisation_ratio ?? 0;
    meter.firstChild.style.width = `${(ratio * 100).toFixed(1)}%`;
    meter.setAttribute("aria-valuenow", (ratio * 100).toFixed(0));
    put(busy, percent(ratio, 0));
    const parts = device.kind === "gpu" ? gpuParts(device) : [];
    parts.push(`${device.running.length} of ${device.concurrency} running`,
               `${device.waiting.length} waiting`, `${device.turns} turns`);
    if (device.overlap_ratio !== null) parts.push(`overlap ${percent(device.overlap_ratio, 1)}`);
    if (device.overloaded) parts.push(`rates lowered, ${percent(device.load_ratio, 0)} asked for`);
    const late = device.running.filter((turn) => turn.expired).length;
    if (late > 0) parts.push(`${late} past their lease`);
    put(detail, parts.join("  ·  "));
    problem.hidden = device.problem === null;
    put(problem, device.problem ?? "", true);
  });
}

// ---- streams

function svg(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function trend(rates, required) {
  const width = 120, height = 22;
  const top = Math.max(required ?? 0, ...rates, 0.1) * 1.3;
  const y = (rate) => (height - 1 - (rate / top) * (height - 2)).toFixed(1);
  const x = (i) => (width - (rates.length - 1 - i) * (width / (TREND_POINTS - 1))).toFixed(1);
  const picture = svg("svg", {width, height, role: "img"});
  const title = svg("title", {});
  title.textContent = `rate over the last minute, between ${number(Math.min(...rates), 1)} and ` +
      `${number(Math.max(...rates), 1)} fps`;
  picture.append(title);
  if (required) {
    picture.append(svg("line", {class: "required", x1: 0, x2: width, y1: y(required), y2: y(required)}));
  }
  picture.append(svg("polyline",
      {class: "rate", points: rates.map((rate, i) => `${x(i)},${y(rate)}`).join(" ")}));
  return picture;
}

function newRow() {
  const row = element("tr");
  const head = element("th");
  head.scope = "row";
  head.append(element("span"), element("small"));
  row.append(head);
  const cells = {};
  for (const name of ["state", "fps", "required", "trend", "done", "missed", "skipped", "wait50", "wait99",
                      "body50", "body99", "call50", "call99", "deadline", "over"]) {
    cells[name] = element("td", name === "trend" ? "trend" : name === "state" ? "text" : "");
    row.append(cells[name]);
  }
  cells.state.append(element("span", "state"));
  return {row, head, cells, rates: []};
}

function showStream(entry, stream) {
  const {head, cells, rates} = entry;
  rates.push(stream.fps);
  if (rates.length > TREND_POINTS) rates.shift();
  put(head.firstChild, stream.name, stream.fault !== null);
  put(head.lastChild, String(stream.pid));
  head.title = stream.fault === null ? stream.command
      : `${stream.fault}: every call fails until it is started again\n${stream.command}`;
  const state = cells.state.firstChild;
  state.className = `state ${stream.state}`;
  state.textContent = stream.state;
  const short = stream.fps_required !== null && stream.attached_s > SETTLED_S &&
      stream.fps < stream.fps_required * SHORT_OF_RATE;
  put(cells.fps, number(stream.fps, 1), short);
  cells.fps.title = short ? "below the required rate" : "";
  const lowered = stream.fps_required !== null && stream.fps_assigned < stream.fps_required;
  put(cells.required, lowered
      ? `${number(stream.fps_assigned, 1)} of ${number(stream.fps_required, 1)}`
      : number(stream.fps_required, 1));
  cells.required.title = lowered ? "lowered: what runs does not fit" : "";
  cells.trend.replaceChildren(trend(rates, stream.fps_required));
  put(cells.done, String(stream.done));
  put(cells.missed, stream.missed === null ? "–" : String(stream.missed), stream.missed > 0);
  put(cells.skipped, String(stream.skipped));
  put(cells.wait50, number(stream.wait_ms.p50, 1));
  put(cells.wait99, number(stream.wait_ms.p99, 1));
  put(cells.body50, number(stream.body_ms.p50, 1));
  put(cells.body99, number(stream.body_ms.p99, 1));
  const over = stream.deadline_ms !== null && stream.inference_ms.p99 > stream.deadline_ms;
  put(cells.call50, number(stream.inference_ms.p50, 1));
  put(cells.call99, number(stream.inference_ms.p99, 1), over);
  put(cells.deadline, number(stream.deadline_ms, 0));
  put(cells.over, percent(stream.deadline_miss_ratio, 1), stream.deadline_miss_ratio > 0);
}

function showStreams(streams) {
  const table = byId("streams");
  const body = table.tBodies[0];
  table.hidden = streams.length === 0;
  byId("empty").hidden = streams.length !== 0;
  const present = new Set(streams.map(key));
  for (const [id, entry] of rows) {
    if (!present.has(id)) {
      entry.row.remove();
      rows.delete(id);
    }
  }
  streams.forEach((stream, i) => {
    if (!rows.has(key(stream))) rows.set(key(stream), newRow());
    const entry = rows.get(key(stream));
    place(body, entry.row, i);
    showStream(entry, stream);
  });
}

// ---- video

function connectVideo(video) {
  clearTimeout(video.timer);
  video.image.removeAttribute("src");
  if (!document.hidden) video.image.src = video.url;
}

function newVideo(stream) {
  const video = {figure: element("figure"), image: element("img"), rate: element("span"),
                 url: stream.video, timer: 0};
  video.image.alt = `live video of ${stream.name}`;
  video.image.addEventListener("error", () => {
    clearTimeout(video.timer);
    video.timer = setTimeout(() => connectVideo(video), VIDEO_RETRY_MS);
  });
  const caption = element("figcaption");
  caption.append(element("b", "", stream.name), video.rate);
  video.figure.append(video.image, caption);
  connectVideo(video);
  return video;
}

function showVideos(streams) {
  const shown = streams.filter((stream) => stream.video !== null);
  byId("video-section").hidden = shown.length === 0;
  const present = new Set(shown.map(key));
  for (const [id, video] of videos) {
    if (!present.has(id)) {
      clearTimeout(video.timer);
      video.image.removeAttribute("src");
      video.figure.remove();
      videos.delete(id);
    }
  }
  shown.forEach((stream, i) => {
    if (!videos.has(key(stream))) videos.set(key(stream), newVideo(stream));
    const video = videos.get(key(stream));
    place(byId("videos"), video.figure, i);
    if (video.url !== stream.video) {
      video.url = stream.video;
      connectVideo(video);
    }
    put(video.rate, `${number(stream.fps, 1)} fps`);
  });
}

// Nobody looks: the apps need not encode pictures for us.
document.addEventListener("visibilitychange", () => videos.forEach(connectVideo));

// ---- polling

function showGone(gone) {
  document.body.classList.toggle("gone", gone);
  const banner = byId("gone");
  const since = lastSeen === null ? "" : ` Last seen at ${lastSeen.toLocaleTimeString()}.`;
  const text = `The daemon does not answer.${since} Apps run on, uncontrolled; this page tries again every second.`;
  if (gone && banner.textContent !== text) banner.textContent = text;
  banner.hidden = !gone;
  document.title = gone ? "Stagger: no daemon" : "Stagger";
}

async function fetchStatus() {
  try {
    const reply = await fetch("/api/status", {signal: AbortSignal.timeout(TIMEOUT_MS)});
    return reply.ok ? await reply.json() : null;
  } catch (error) {
    return null;
  }
}

async function poll() {
  const started = performance.now();
  const status = await fetchStatus();
  setTimeout(poll, Math.max(100, POLL_MS - (performance.now() - started)));
  showGone(status === null);
  if (status === null) return;
  lastSeen = new Date();
  status.streams.sort((a, b) => byName.compare(a.name, b.name));
  showHeader(status);
  showDevices(status.devices);
  showFaults(status.faults);
  showStreams(status.streams);
  showVideos(status.streams);
}

poll();
