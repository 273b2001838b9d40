"use strict";
// The plots for the choice, drawn by BokehJS from the same figures as the answer. Nothing is computed but where the
// lines of local and remote cross.

const WAYS = { untiled: "--one", "in tiles": "--two" };
const HEIGHT = 320;
const views = new Map();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// What the chosen card does at each size of the chosen model, operation and precision.
function sizesOfChoice() {
  const asked = questionsLike(["model", "operation", "precision"]).sort((a, b) => pixels(sizeOf(a)) - pixels(sizeOf(b)));
  return asked.flatMap((each) => {
    const answer = answerTo(each);
    if (!answer) return [];
    const others = answer.ways.filter((way) => !isUntiled(way));
    const tiled = quickest(others) ?? others.find((way) => RUNS.has(way.verdict)) ?? others.at(-1) ?? null;
    const remotes = VERDICTS.networks.map((network) => remoteOf(each, network.key)).filter((remote) => remote && remote.low !== null);
    const untiled = answer.ways.find(isUntiled) ?? null;
    return [{ size: sizeOf(each), untiled, "in tiles": tiled, local: onCard(answer), remote: answer.remote, remotes }];
  });
}

// The quickest way of a list: by the middle of its range.
function quickest(ways) {
  const timed = ways.filter((way) => way.low !== null && RUNS.has(way.verdict));
  return timed.sort((a, b) => middle(a) - middle(b))[0] ?? null;
}

function middle(way) {
  return way && way.low !== null && way.verdict !== "oom" ? (way.low + (way.high ?? way.low)) / 2 : null;
}

// Ticks of a logarithmic axis at 1, 2 and 5 times powers of ten; of powers of two for memory.
function ticksBetween(low, high, isBinary) {
  if (isBinary) {
    const all = Array.from({ length: 40 }, (_, power) => 2 ** (power + 16)).filter((tick) => tick >= low && tick <= high);
    return all.length > 8 ? all.filter((_, index) => index % 2 === 0) : all;
  }
  const all = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power += 1) {
    for (const step of [1, 2, 5]) all.push(Number(`${step}e${power}`));
  }
  const inside = all.filter((tick) => tick >= low && tick <= high);
  return inside.length > 9 ? inside.filter((tick) => String(tick.toExponential()).startsWith("1e")) : inside;
}

// One unit for all values of an axis.
const inSeconds = (value) => `${digits(value)} s`;
const inGib = (value) => `${digits(value / 2 ** 30)} GiB`;

function setAxis(axis, ticks, textOf, grid = null) {
  const ticker = new Bokeh.FixedTicker({ ticks });
  axis.ticker = ticker;
  if (grid) grid.ticker = ticker; // what an axis has can't be read in older versions
  axis.major_label_overrides = new Map(ticks.map((tick) => [tick, textOf(tick)]));
}

// The share of a plot's width that the names at the ends of its lines take.
function shareOfNames(names) {
  const width = Math.max(document.getElementById("plot-time").clientWidth - 70, 150);
  return Math.min(0.6, (18 + 7.5 * Math.max(...names.map((name) => name.length))) / width);
}

// A figure over sizes (`labels`) or, without them, over a logarithmic x from `across[0]` to `across[1]`. The lines end
// where the space for their `names` begins.
function makeFigure({ title, labels, across, names, low, high, textOf, isBinary }) {
  const [from, to] = [low / 1.5, high * 1.8];
  const share = shareOfNames(names);
  const last = labels ? labels.length - 1 : across[1];
  const ends = labels ? [-0.3, last + Math.max(0.1, ((last + 0.3) * share) / (1 - share))] : [across[0], last * (last / across[0]) ** (share / (1 - share))];
  const made = Bokeh.Plotting.figure({
    title, height: HEIGHT, sizing_mode: "stretch_width", toolbar_location: null, tools: "",
    x_axis_type: labels ? "linear" : "log", y_axis_type: "log",
    x_range: new Bokeh.Range1d({ start: ends[0], end: ends[1] }), y_range: new Bokeh.Range1d({ start: from, end: to }),
    background_fill_color: colour("--paper"), border_fill_color: colour("--paper"), outline_line_color: null,
  });
  made.title.text_color = colour("--ink");
  made.title.text_font_size = "15px";
  const [x, y] = [made.xaxis, made.yaxis].map((axes) => [axes].flat()[0]);
  for (const axis of [x, y]) {
    Object.assign(axis, { axis_line_color: colour("--line"), major_tick_line_color: colour("--line"), minor_tick_line_color: null, major_label_text_color: colour("--ink"), major_label_text_font_size: "12px" });
  }
  [made.xgrid].flat()[0].grid_line_color = null;
  const [grid] = [made.ygrid].flat();
  Object.assign(grid, { grid_line_color: colour("--line"), grid_line_alpha: 0.7 });
  setAxis(y, ticksBetween(from, to, isBinary), textOf, grid);
  if (labels) setAxis(x, labels.map((_, index) => index), (index) => labels[index]);
  const width = document.getElementById("plot-time").clientWidth - 70;
  if (labels && labels.join("  ").length * 8 > width * (1 - share)) x.major_label_orientation = 0.5;
  return { made, x, top: to, bottom: from };
}

function drawLine(made, points, colourName, { dash = "solid", marks = true, width = 2.2 } = {}) {
  const [x, y] = [points.map(([at]) => at), points.map(([, value]) => value)];
  const line = colour(colourName);
  made.line(x, y, { line_color: line, line_width: width, line_dash: dash });
  if (marks) for (const point of points) drawPoint(made, point, colourName);
}

// A point is filled if its figure was measured or published, and hollow if a model gave it.
function drawPoint(made, [x, y, kind], colourName) {
  const fill = colour(kind === "measured" || kind === "published" ? colourName : "--paper");
  made.scatter([x], [y], { marker: "circle", size: 7, line_width: 2, fill_color: fill, line_color: colour(colourName) });
}

function drawText(made, at, text, colourName, { align = "left", dx = 8, dy = 0 } = {}) {
  made.text([at[0]], [at[1]], [text], { text_color: colour(colourName), text_font_size: "13px", text_align: align, text_baseline: "middle", x_offset: dx, y_offset: dy });
}

// Heights of names, in pixels from the top and in order, moved apart where they would lie on each other.
function movedApart(heights, least, most) {
  const lines = heights.map((height) => Math.max(height, least));
  for (let n = 1; n < lines.length; n += 1) lines[n] = Math.max(lines[n], lines[n - 1] + 15);
  for (let n = lines.length - 1; n >= 0; n -= 1) lines[n] = Math.min(lines[n], n === lines.length - 1 ? most : lines[n + 1] - 15);
  return lines;
}

// Names at the right ends of lines, moved off each other and off a line at `limit` across the whole plot.
function labelEnds(made, ends, limit = null) {
  const { start, end: top } = made.y_range;
  const inner = HEIGHT - 75; // without title and axis
  const downTo = (value) => (Math.log(top / value) / Math.log(top / start)) * inner;
  const placed = ends.map((end) => ({ ...end, down: downTo(end.at[1]) })).sort((a, b) => a.down - b.down);
  const heights = placed.map(({ down }) => down);
  const limitDown = limit === null ? Infinity : downTo(limit);
  const lines = [
    ...movedApart(heights.filter((down) => down < limitDown), -Infinity, Math.min(limitDown - 10, inner - 8)),
    ...movedApart(heights.filter((down) => down >= limitDown), limitDown + 10, inner - 8),
  ];
  placed.forEach((end, n) => drawText(made, end.at, end.text, end.colour, { dx: 10, dy: lines[n] - end.down }));
}

function drawOutOfMemory(made, at, colourName) {
  made.scatter([at[0]], [at[1]], { marker: "x", size: 12, line_width: 3, line_color: colour(colourName) });
}

function sizeLabel(size) {
  const [width, height, frames] = size.split("x");
  return `${width === height ? width : `${width}×${height}`}${frames ? ` ${frames} fr` : ""}`;
}

function timeFigure(sizes) {
  const times = sizes.flatMap((size) => Object.keys(WAYS).map((name) => middle(size[name]))).filter((value) => value !== null);
  if (!times.length) return { why: "No time on this card is known." };
  const figure = makeFigure({ title: `Time of one ${chosen.operation} on the card`, labels: sizes.map(({ size }) => sizeLabel(size)), low: Math.min(...times), high: Math.max(...times), names: Object.keys(WAYS), textOf: inSeconds });
  const ends = [];
  const outOfMemory = [];
  for (const [name, colourName] of Object.entries(WAYS)) {
    const points = sizes.map((size, index) => [index, middle(size[name]), size[name]?.timeKind]).filter(([, value]) => value !== null);
    if (points.length) {
      drawLine(figure.made, points, colourName);
      ends.push({ at: points.at(-1), text: name, colour: colourName });
    }
    sizes.forEach((size, index) => {
      if (size[name]?.verdict !== "oom") return;
      drawOutOfMemory(figure.made, [index, figure.top / (name === "untiled" ? 1.12 : 1.4)], colourName);
      outOfMemory.push(`${name} at ${sizeLabel(size.size)}`);
    });
  }
  labelEnds(figure.made, ends);
  return { made: figure.made, caption: outOfMemory.length ? `× out of memory: ${outOfMemory.join(", ")}.` : "No size is out of memory." };
}

function memoryFigure(sizes) {
  const total = chosenCard().memory_bytes;
  const peaks = sizes.flatMap((size) => Object.keys(WAYS).map((name) => size[name]?.peak ?? null)).filter((value) => value);
  if (!peaks.length) return { why: "No peak on this card is known." };
  const limit = total ? [total] : [];
  const figure = makeFigure({ title: "Peak memory on the card", labels: sizes.map(({ size }) => sizeLabel(size)), low: Math.min(...peaks, ...limit), high: Math.max(...peaks, ...limit), names: Object.keys(WAYS), textOf: inGib, isBinary: true });
  if (total) {
    drawLine(figure.made, [[-0.3, total], [sizes.length + 9, total]], "--nothing", { dash: "dashed", marks: false, width: 1.5 });
    drawText(figure.made, [-0.25, total], `the card has ${bytes(total)}`, "--nothing", { dx: 0, dy: -10 });
  }
  const ends = [];
  for (const [name, colourName] of Object.entries(WAYS)) {
    const points = sizes.map((size, index) => [index, size[name]?.peak ?? null, size[name]?.peakKind, size[name]?.verdict]).filter(([, value]) => value);
    if (!points.length) continue;
    drawLine(figure.made, points, colourName, { marks: false });
    for (const point of points) {
      if (point[3] === "oom") drawOutOfMemory(figure.made, point, colourName);
      else drawPoint(figure.made, point, colourName);
    }
    ends.push({ at: points.at(-1), text: name, colour: colourName });
  }
  labelEnds(figure.made, ends, total || null);
  const isOut = sizes.some((size) => Object.keys(WAYS).some((name) => size[name]?.verdict === "oom"));
  return { made: figure.made, caption: `${isOut ? "× out of memory: it would need at least this much." : "No size is out of memory."} In tiles: of the quickest tile at each size.` };
}

// Where the line of remote first goes below that of local, between two sizes; null if it does not.
function crossing(points) {
  for (let n = 0; n < points.length; n += 1) {
    const [now, before] = [points[n], points[n - 1]];
    if (now.remote >= now.local) continue;
    if (!before || before.index + 1 < now.index) return [now.index, now.remote];
    const gaps = [before, now].map((point) => Math.log(point.remote / point.local));
    const share = gaps[0] / (gaps[0] - gaps[1]);
    return [before.index + share * (now.index - before.index), Math.exp(Math.log(before.remote) + share * Math.log(now.remote / before.remote))];
  }
  return null;
}

function remoteFigure(sizes) {
  const points = sizes.map((size, index) => ({ index, local: middle(size.local), localKind: size.local?.timeKind, remote: middle(size.remote), remoteKind: size.remote?.kind, all: size.remotes.map(middle) }));
  const remotes = points.filter((point) => point.remote !== null);
  const locals = points.filter((point) => point.local !== null);
  if (!remotes.length) return { why: "No endpoint’s time is known for this model." };
  const values = [...locals.map((point) => point.local), ...remotes.flatMap((point) => [point.remote, ...point.all])];
  const figure = makeFigure({ title: "On the card or remote", labels: sizes.map(({ size }) => sizeLabel(size)), low: Math.min(...values), high: Math.max(...values), names: ["on the card"], textOf: inSeconds });
  figure.made.varea(remotes.map((p) => p.index), remotes.map((p) => Math.min(...p.all)), remotes.map((p) => Math.max(...p.all)), { fill_color: colour("--three"), fill_alpha: 0.15 });
  const remoteLine = remotes.map((p) => [p.index, p.remote, p.remoteKind]);
  const localLine = locals.map((p) => [p.index, p.local, p.localKind]);
  drawLine(figure.made, remoteLine, "--three");
  const ends = [{ at: remoteLine.at(-1), text: "remote", colour: "--three" }];
  if (localLine.length) {
    drawLine(figure.made, localLine, "--one");
    ends.push({ at: localLine.at(-1), text: "on the card", colour: "--one" });
  }
  labelEnds(figure.made, ends);
  const both = points.filter((point) => point.local !== null && point.remote !== null);
  const cross = crossing(both);
  if (cross) figure.made.scatter([cross[0]], [cross[1]], { marker: "diamond", size: 13, fill_color: colour("--paper"), line_color: colour("--ink"), line_width: 2 });
  const first = both.find((point) => point.remote < point.local);
  const verdict = first ? `◇ Remote is quicker from ${sizeLabel(sizes[first.index].size)}.` : both.length ? "At these sizes the card is quicker." : "The card’s time is not known.";
  return { made: figure.made, caption: `${verdict} Remote over ${networkTitle()}; the band is all networks.` };
}

// The image nearest to the choice that something has a cost for.
function costsOfChoice() {
  const alike = DATA.costs.filter((image) => image.model === chosen.model && image.operation === chosen.operation && image.width);
  const size = nearestSize(alike.map(sizeOf), chosen.size);
  return alike.find((image) => sizeOf(image) === size) ?? null;
}

function costFigure() {
  const image = costsOfChoice();
  if (!image) return { why: "No cost over volume is known for this model: only measured and published times have one." };
  const own = image.lines.filter(([name, charge]) => charge && name === chosen.card);
  const endpoints = image.lines.filter(([, charge, , , amounts]) => !charge && amounts[0] !== null);
  const middleAmount = ([, , , , amounts]) => amounts[amounts.length >> 1];
  const shown = [...own, ...endpoints.sort((a, b) => middleAmount(a) - middleAmount(b)).slice(0, 2)];
  if (!shown.length) return { why: "Neither this card nor an endpoint has a price." };
  const styles = { use: { name: "computing anyway", colour: "--one", dash: "dashed" }, hour: { name: "kept for this", colour: "--one", dash: "solid" } };
  const amounts = shown.flatMap((line) => line[4]).filter((amount) => amount > 0);
  const names = shown.map(([name, charge]) => styles[charge]?.name ?? name);
  const figure = makeFigure({ title: `Cost of 1,000 ${image.output} in ${DATA.currency}`, across: [DATA.volumes[0], DATA.volumes.at(-1)], names, low: Math.min(...amounts), high: Math.max(...amounts), textOf: (value) => digits(value) });
  setAxis(figure.x, [1, 10, 100, 1000, 10000, 100000], (value) => (value < 1000 ? String(value) : `${value / 1000}k`));
  const greys = ["--four", "--two"];
  const ends = shown.map(([name, charge, , , line]) => {
    const style = styles[charge] ?? { name, colour: greys.shift(), dash: "solid" };
    const points = DATA.volumes.map((volume, index) => [volume, line[index]]).filter(([, amount]) => amount > 0);
    drawLine(figure.made, points, style.colour, { dash: style.dash, marks: false });
    return { at: points.at(-1), text: style.name, colour: style.colour };
  });
  labelEnds(figure.made, ends);
  const priced = own.length
    ? `${shortName(chosen.card)} (${own[0][2]}, time ${own[0][3]}) is charged for the seconds that it computes, or for every hour if it is kept for this.`
    : "This card has no measured or published time with a price.";
  return { made: figure.made, caption: `By ${image.output} per hour, at ${sizeTitle(sizeOf(image))}. ${priced} The other lines are endpoints. All costs are simulated.` };
}

const shownIn = { time: timeFigure, memory: memoryFigure, remote: remoteFigure, cost: costFigure };
let drawing = Promise.resolve();
let asked = 0;

// Draw all plots, after those that are being drawn and unless another choice follows; without the library do nothing.
function showPlots() {
  if (!globalThis.Bokeh?.Plotting || document.getElementById("plots").hidden) return;
  Bokeh.set_log_level("error");
  asked += 1;
  const own = asked;
  drawing = drawing.then(() => (own === asked ? drawAll() : null));
}

async function drawAll() {
  const sizes = sizesOfChoice();
  for (const [name, make] of Object.entries(shownIn)) {
    const place = document.getElementById(`plot-${name}`);
    const { made, caption, why } = sizes.length ? make(sizes) : { why: "Nothing is known of this on this card." };
    views.get(name)?.remove();
    views.delete(name);
    place.replaceChildren(...(made ? [] : [element("p", { class: "notice" }, why)]));
    place.parentElement.querySelector("figcaption").textContent = caption ?? "";
    place.toggleAttribute("data-drawn", Boolean(made));
    if (!made) {
      place.removeAttribute("role");
      place.removeAttribute("aria-label");
      continue;
    }
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `${made.title.text}. ${caption}`);
    views.set(name, await Bokeh.Plotting.show(made, place));
  }
  showPlotted(sizes);
}

// The same figures as text, for those who can't see the plots.
function showPlotted(sizes) {
  const kindOf = (way) => (way ? ` ${way.timeKind ?? way.kind}` : "");
  const time = (way) => (middle(way) === null ? (way?.verdict === "oom" ? "OOM" : "-") : `${timeText(way)}${kindOf(way)}`);
  const heads = ["Size", "Untiled", "Peak", "In tiles", "Peak", `Remote over ${networkTitle()}`];
  const rows = sizes.map((size) => [sizeTitle(size.size), time(size.untiled), size.untiled ? peakText(size.untiled) : "-", size["in tiles"] ? `${time(size["in tiles"])} (${size["in tiles"].title})` : "-", size["in tiles"] ? peakText(size["in tiles"]) : "-", time(size.remote)]);
  const table = element("table", { class: "plain" },
    element("thead", {}, element("tr", {}, ...heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, ...rows.map(([size, ...cells]) => element("tr", {}, element("th", { scope: "row" }, size), ...cells.map((cell) => element("td", {}, cell))))));
  document.querySelector("#plotted .scrolls").replaceChildren(table);
}
