"use strict";
// What the reader chose: six lists, and the same in the page's address, so that a choice can be linked to.

const VERDICTS = DATA.verdicts?.questions.length && DATA.verdicts.cards.length ? DATA.verdicts : null;
const FIELDS = ["card", "model", "operation", "size", "precision", "network"];
const chosen = Object.fromEntries(FIELDS.map((field) => [field, null]));
const form = document.getElementById("choice");

function sizeOf(question) {
  return [question.width, question.height, question.frames].filter((side) => side !== null && side !== undefined).join("x");
}

function sizeTitle(size) {
  const [width, height, frames] = size.split("x");
  return `${width} × ${height}${frames ? `, ${frames} ${frames === "1" ? "frame" : "frames"}` : ""}`;
}

function pixels(size) {
  return size.split("x").reduce((product, side) => product * Number(side), 1);
}

function unique(values) {
  return [...new Set(values)];
}

function cardIndex(name) {
  return VERDICTS.cards.findIndex((card) => card.name === name);
}

function titleOfModel(key) {
  return VERDICTS.models.find((model) => model.key === key)?.title ?? key;
}

// `RTX 3070`: a key press finds it in a list, where all would begin with NVIDIA GeForce.
function shortName(name) {
  return name.replace(/^NVIDIA /, "").replace(/^GeForce /, "");
}

function cardTitle(card) {
  const short = shortName(card.name);
  return card.memory_bytes ? `${short} (${digits(card.memory_bytes / 2 ** 30, 2)} GiB)` : short;
}

// The questions that agree with the choice in these fields.
function questionsLike(fields, choice = chosen) {
  const values = { model: (q) => q.model, operation: (q) => q.operation, size: sizeOf, precision: (q) => q.dtype };
  return VERDICTS.questions.filter((question) => fields.every((field) => values[field](question) === choice[field]));
}

function question() {
  return questionsLike(["model", "operation", "size", "precision"])[0] ?? null;
}

// The size of `sizes` that is most like another: of as many pixels, and of the same number of frames if possible.
function nearestSize(sizes, wanted) {
  const distance = (size) => Math.abs(Math.log(pixels(size) / pixels(wanted)));
  return [...sizes].sort((a, b) => distance(a) - distance(b))[0];
}

// The size to show if the chosen one does not exist: the nearest; from an image to a video, the model's own, which is its largest.
function sizeInstead(sizes, usual) {
  const wanted = chosen.size ?? usual;
  const isVideo = (size) => size.split("x").length > 2;
  const alike = sizes.filter((size) => isVideo(size) === isVideo(wanted));
  if (alike.length) return nearestSize(alike, wanted);
  return isVideo(sizes[0]) ? [...sizes].sort((a, b) => pixels(b) - pixels(a))[0] : nearestSize(sizes, usual);
}

// Make the choice whole: a value that does not exist with the ones before it gives way to the nearest that does.
function settle() {
  const { models, cards, networks, usual } = VERDICTS_WITH_USUAL;
  if (cardIndex(chosen.card) < 0) chosen.card = cards[0]?.name ?? null;
  if (!models.some((model) => model.key === chosen.model)) chosen.model = usual.model;
  const operations = unique(questionsLike(["model"]).map((q) => q.operation));
  if (!operations.includes(chosen.operation)) chosen.operation = operations.includes("decode") ? "decode" : operations[0];
  const sizes = unique(questionsLike(["model", "operation"]).map(sizeOf));
  if (!sizes.includes(chosen.size)) chosen.size = sizeInstead(sizes, usual.size);
  const precisions = unique(questionsLike(["model", "operation", "size"]).map((q) => q.dtype));
  if (!precisions.includes(chosen.precision)) chosen.precision = precisions[0];
  if (!networks.some((network) => network.key === chosen.network)) chosen.network = networks[0]?.key ?? null;
}

// A device of which little was measured: move to the question most like the chosen one that it has an answer to.
function moveToAnswered() {
  const place = cardIndex(chosen.card);
  if (place < 0 || question()?.cards[place]) return;
  const score = (q) =>
    4 * (q.model === chosen.model) + 2 * (q.operation === chosen.operation) + (q.dtype === chosen.precision) -
    Math.min(0.9, Math.abs(Math.log(pixels(sizeOf(q)) / pixels(chosen.size))) / 20);
  const answered = VERDICTS.questions.filter((q) => q.cards[place]).sort((a, b) => score(b) - score(a))[0];
  if (!answered) return;
  Object.assign(chosen, { model: answered.model, operation: answered.operation, size: sizeOf(answered), precision: answered.dtype });
}

function fillList(name, options) {
  const list = form.elements[name];
  const groups = Map.groupBy ? Map.groupBy(options, (option) => option.group ?? "") : groupedBy(options);
  list.replaceChildren();
  for (const [title, members] of groups) {
    const items = members.map((option) => new Option(option.title, option.value, false, option.value === chosen[name]));
    list.append(...(title ? [element("optgroup", { label: title }, ...items)] : items));
  }
  list.value = chosen[name];
}

function groupedBy(options) {
  const groups = new Map();
  for (const option of options) groups.set(option.group ?? "", [...(groups.get(option.group ?? "") ?? []), option]);
  return groups;
}

function fillLists() {
  const measured = VERDICTS.cards.filter((card) => card.is_device);
  const listed = VERDICTS.cards.filter((card) => !card.is_device);
  const asOption = (group) => (card) => ({ value: card.name, title: cardTitle(card), group });
  fillList("card", [...measured.map(asOption("Measured")), ...listed.map(asOption(measured.length ? "Cards" : ""))]);
  const kinds = { image: "Images", video: "Videos" };
  fillList("model", VERDICTS.models.map((m) => ({ value: m.key, title: m.title, group: kinds[m.kind] ?? "Others" })));
  fillList("operation", unique(questionsLike(["model"]).map((q) => q.operation)).map((value) => ({ value, title: value })));
  const sizes = unique(questionsLike(["model", "operation"]).map(sizeOf)).sort((a, b) => pixels(a) - pixels(b));
  fillList("size", sizes.map((value) => ({ value, title: sizeTitle(value) })));
  fillList("precision", unique(questionsLike(["model", "operation", "size"]).map((q) => q.dtype)).map((value) => ({ value, title: value })));
  fillList("network", VERDICTS.networks.map((network) => ({ value: network.key, title: network.title })));
}

// Models have other names, which are found in the open list; in the closed one they would cut off its title.
function showAliases(areShown) {
  const { options } = form.elements.model;
  for (const { key, title, aliases } of VERDICTS.models) {
    const option = [...options].find((each) => each.value === key);
    if (option) option.text = areShown && aliases.length ? `${title} · ${aliases.join(", ")}` : title;
  }
}

function addressOfChoice() {
  return `#${new URLSearchParams(FIELDS.map((field) => [field, chosen[field] ?? ""]))}`;
}

// Take over the choice in the address. Returns the fields whose values this page does not know.
function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const named = FIELDS.filter((field) => given.get(field));
  for (const field of named) chosen[field] = given.get(field);
  if (!/^\d+x\d+(x\d+)?$/.test(chosen.size ?? "")) chosen.size = null;
  settle();
  return named.filter((field) => given.get(field) !== chosen[field]);
}

const VERDICTS_WITH_USUAL = VERDICTS && {
  ...VERDICTS,
  usual: { model: VERDICTS.models.find((m) => m.key === DATA.usual?.model)?.key ?? VERDICTS.models[0]?.key, size: "1024x1024" },
};
