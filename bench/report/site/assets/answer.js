"use strict";
// The answer to the choice: what to do, whether it fits, whether to go remote, and all ways in a table.

const REMOTE = -1;
const NOTHING = -2;
const RUNS = new Set(["fits", "tight", "unsure", "emulated", "black"]);
const BUT = { tight: ", but is tight", unsure: ", but may not fit", emulated: ", but is only emulated", black: ", but may give black images" };
const FITS = { fits: "yes", tight: "tight", oom: "OOM", unsure: "perhaps", unsupported: "not supported", emulated: "runs, emulated", black: "runs, may give black images" };

// The answer of the chosen card as an object; null if the file has none.
function answerTo(asked, place = cardIndex(chosen.card)) {
  const entry = asked?.cards[place];
  if (!entry) return null;
  const [best, ways, here = best] = entry;
  const network = VERDICTS.networks.findIndex((each) => each.key === chosen.network);
  return { best: Array.isArray(best) ? best[network] : best, here, ways: ways.map((way) => wayOf(asked, way)), remote: remoteOf(asked, chosen.network) };
}

// A card's figures of a way; what is left out at the end of the array is unknown, and its kind is predicted.
function wayOf(asked, [index, verdict, peakMib = null, lowMs = null, highMs = null, peakKind = 2, timeKind = 2, cost = null]) {
  const [key, title] = asked.ways[index];
  return {
    index,
    key,
    title,
    verdict: VERDICTS.verdicts[verdict],
    peak: peakMib === null ? null : peakMib * 2 ** 20,
    low: lowMs === null ? null : lowMs / 1e3,
    high: highMs === null ? null : highMs / 1e3,
    peakKind: VERDICTS.kinds[peakKind],
    timeKind: VERDICTS.kinds[timeKind],
    cost,
  };
}

function remoteOf(asked, network) {
  const remote = asked.remote?.[network];
  if (!remote) return null;
  return { low: remote.low_s, high: remote.high_s, kind: remote.kind, by: remote.by, cost: remote.cost_per_1000 ?? null, note: remote.note ?? null };
}

function chosenCard() {
  return VERDICTS.cards[cardIndex(chosen.card)];
}

function networkTitle() {
  return VERDICTS.networks.find((network) => network.key === chosen.network)?.title ?? "";
}

function timeText(way) {
  if (way.low === null) return "-";
  return way.high === null ? `at least ${seconds(way.low)}` : range(way.low, way.high);
}

function peakText(way) {
  const total = chosenCard().memory_bytes;
  if (way.peak === null) return "-";
  return total ? `${bytes(way.peak)} (${Math.round((100 * way.peak) / total)}%)` : bytes(way.peak);
}

function isUntiled(way) {
  return way.key === "untiled";
}

function best(answer) {
  return answer.ways.find((way) => way.index === answer.best) ?? null;
}

// The best way on the card itself; null if none runs.
function onCard(answer) {
  return answer.ways.find((way) => way.index === answer.here) ?? null;
}

function headline(answer) {
  if (answer.best === REMOTE) return "Go remote.";
  const way = best(answer);
  if (!way) return `${capitalised(nothing(answer))}.`;
  return isUntiled(way) ? "Run it on the card, untiled." : `Run it on the card: ${way.title}.`;
}

function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function fitText(answer) {
  const untiled = answer.ways.find(isUntiled);
  const total = chosenCard().memory_bytes;
  const takes = untiled?.peak && total ? `: it takes ${bytes(untiled.peak)} of ${bytes(total)}` : "";
  const words = {
    fits: "Yes, untiled.",
    tight: `Barely, untiled${takes}.`,
    unsure: `Perhaps, untiled${takes}, and that is not sure.`,
    emulated: "Yes, untiled, but the card does not compute in this precision.",
    black: "Yes, untiled, but images may be black.",
    unsupported: "No: torch does not support this card.",
  };
  const surely = untiled?.verdict === "fits" ? null : answer.ways.find((way) => way.index === answer.here && way.verdict === "fits");
  const instead = surely && RUNS.has(untiled?.verdict) ? ` ${capitalised(surely.title)} fits.` : "";
  if (untiled && untiled.verdict !== "oom") return `${words[untiled.verdict]}${instead}`;
  const needs = untiled?.peak && total && untiled.peak > total ? `: untiled needs ${bytes(untiled.peak)} of ${bytes(total)}` : "";
  const others = answer.ways.filter((way) => !isUntiled(way) && RUNS.has(way.verdict));
  const sure = others.some((way) => way.verdict === "fits");
  if (others.length) return `${untiled ? "Only in tiles" : "In tiles"}${sure ? "" : ", and barely"}${needs}.`;
  return untiled ? `No${needs}.` : "Not known.";
}

// Why nothing on the card is recommended, in the words of `Answer.nothing`.
function nothing(answer) {
  if (answer.ways.some((way) => way.verdict === "unsupported")) return "torch does not support this card";
  return answer.ways.some((way) => RUNS.has(way.verdict)) ? `no ${chosen.precision} here` : "nothing fits";
}

// The best way on the card and the untiled one, if their times are known.
function timedOnCard(answer) {
  const shown = unique([onCard(answer), answer.ways.find(isUntiled) ?? null]);
  return shown.filter((way) => way && way.low !== null && RUNS.has(way.verdict));
}

function remoteText(answer) {
  if (!answer.remote || answer.remote.low === null) return "No endpoint’s time is known for this.";
  const remote = `remote over ${networkTitle()} takes ${timeText(answer.remote)}`;
  const local = onCard(answer);
  const onTheCard = timedOnCard(answer).map((way) => `${way.title} takes ${timeText(way)}${BUT[way.verdict] ?? ""}`);
  if (answer.best === REMOTE) return `Yes: ${[remote, ...(local ? onTheCard : [nothing(answer)])].join("; ")}.`;
  const times = [...onTheCard, remote].join("; ");
  const isQuicker = local.low !== null && answer.remote.high !== null && answer.remote.high < local.low;
  return isQuicker ? `You need not, but it is quicker: ${times}.` : `No: ${times}.`;
}

// The text with its figures held together with their units.
function unbroken(text) {
  return text.replaceAll(/(\d) (ms|s|µs|min|GiB|MiB)\b/g, "$1\u00a0$2").replaceAll(/\b([A-Z]{3}) (\d)/g, "$1\u00a0$2");
}

function fact(name, text, kinds = []) {
  return element("div", {}, element("dt", {}, name), element("dd", {}, unbroken(text), ...kinds.flatMap((kind) => [" ", kindMark(kind)])));
}

function facts(answer) {
  const way = best(answer);
  const remote = answer.remote;
  const isRemoteKnown = remote !== null && remote.low !== null;
  const untiled = answer.ways.find(isUntiled);
  const fitting = untiled?.verdict === "fits" ? [untiled] : [untiled, onCard(answer)];
  const kindsOnCard = timedOnCard(answer).map((each) => each.timeKind);
  const kindsOfTimes = answer.best === REMOTE ? [remote?.kind, ...kindsOnCard] : [...kindsOnCard, remote?.kind];
  const shown = [
    fact("Does it fit?", fitText(answer), unique(fitting.filter(Boolean).map((each) => each.peakKind))),
    fact("Go remote?", remoteText(answer), isRemoteKnown ? unique(kindsOfTimes) : []),
  ];
  if (way) {
    shown.push(fact("Time", timeText(way), way.low === null ? [] : [way.timeKind]));
    shown.push(fact("Peak", peakText(way), way.peak === null ? [] : [way.peakKind]));
  } else if (answer.best === REMOTE) {
    shown.push(fact("Time", timeText(remote), isRemoteKnown ? [remote.kind] : []), fact("Peak", "none on your card"));
  }
  const cost = (way ?? (answer.best === REMOTE ? remote : null))?.cost ?? null;
  shown.push(fact(costTitle(), cost === null ? "no price is known" : money(cost), cost === null ? [] : ["simulated"]));
  return shown;
}

function costTitle() {
  const unit = VERDICTS.models.find((model) => model.key === chosen.model)?.unit ?? "image";
  return { image: "1,000 images", frame: "1,000 frames" }[unit] ?? "1,000 s of video";
}

function askedText() {
  return `${titleOfModel(chosen.model)} ${chosen.operation}, ${sizeTitle(chosen.size)}, ${chosen.precision}, on ${chosen.card}`;
}

function aside(text) {
  return element("p", { class: "aside" }, text);
}

function remarks(asked) {
  const { assumed } = chosenCard();
  const memory = "The card’s memory is the advertised one: nobody has published what torch reports, which is up to 9% less.";
  return [...(asked.risk ? [aside(`${asked.risk}.`)] : []), ...(assumed ? [aside(memory)] : [])];
}

function showAnswer() {
  const asked = question();
  const answer = answerTo(asked);
  const verdict = document.getElementById("verdict");
  const heading = (text) => [element("p", { class: "asked" }, askedText()), element("p", { class: "headline" }, text)];
  document.getElementById("ways").hidden = !answer;
  if (!answer) {
    const why = "Nobody measured this, and this device is not among the cards that predictions are made for. Measure it with ";
    verdict.className = "unknown";
    verdict.replaceChildren(...heading("Not known."), element("p", {}, why, element("code", {}, "bench run"), "."));
    return;
  }
  verdict.className = answer.best === REMOTE ? "remote" : answer.best === NOTHING ? "nothing" : "local";
  verdict.replaceChildren(...heading(headline(answer)), element("dl", { class: "facts" }, ...facts(answer)), ...remarks(asked));
  document.getElementById("cost-head").textContent = costTitle();
  const rows = [...answer.ways.map((way) => wayRow(way, way.index === answer.best)), ...remoteRows(answer)];
  document.querySelector("#ways tbody").replaceChildren(...rows);
}

function wayRow(way, isBest) {
  const kinds = unique([way.peakKind, ...(way.low === null ? [] : [way.timeKind])]);
  return row([way.title, FITS[way.verdict], peakText(way), timeText(way), way.cost], way.verdict, kinds, isBest);
}

function remoteRows(answer) {
  const remote = answer.remote;
  if (!remote) return [];
  const computedBy = remote.by ? `, computed by ${shortName(remote.by)}` : "";
  const title = `remote over ${networkTitle()}${remote.note ? ` (${remote.note})` : computedBy}`;
  const kinds = remote.low === null ? [] : [remote.kind];
  return [row([title, remote.low === null ? "-" : "yes", "none", timeText(remote), remote.cost], "fits", kinds, answer.best === REMOTE)];
}

function row([title, fits, peak, time, cost], verdict, kinds, isBest) {
  const right = (text) => element("td", { class: "right" }, text);
  const marks = kinds.flatMap((kind) => [kindMark(kind), " "]);
  return element("tr", { class: isBest ? "best" : null },
    element("th", { scope: "row" }, title, isBest ? element("strong", { class: "mark" }, " recommended") : ""),
    element("td", { class: `fits-${verdict}` }, fits),
    right(peak), right(time), right(cost === null ? "-" : money(cost)), element("td", {}, ...marks));
}
