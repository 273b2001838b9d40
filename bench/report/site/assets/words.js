"use strict";
// Numbers and elements as the page shows them. Texts go into the page as text nodes, never as HTML.

const PREFIXES = [["P", 1e15], ["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]];

function digits(value, most = 3) {
  return Number(value.toPrecision(most)).toLocaleString("en-US", { maximumFractionDigits: 12 });
}

function seconds(value) {
  if (value >= 119.95) {
    const whole = Math.round(value);
    return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  }
  if (Number(value.toPrecision(3)) >= 1) return `${value.toFixed(value >= 9.995 ? 1 : 2)} s`;
  return Number((value * 1e3).toPrecision(3)) >= 1 ? `${digits(value * 1e3)} ms` : `${digits(value * 1e6)} µs`;
}

function bytes(value) {
  if (value >= 1023.5 * 2 ** 20) return `${(value / 2 ** 30).toFixed(value >= 9.995 * 2 ** 30 ? 1 : 2)} GiB`;
  return value >= 1023.5 * 1024 ? `${Math.round(value / 2 ** 20)} MiB` : `${Math.round(value / 1024)} KiB`;
}

function scaled(value, unit) {
  const [prefix, factor] = PREFIXES.find(([, size]) => value >= size) ?? ["", 1];
  return `${digits(value / factor)} ${prefix}${unit}`;
}

const FORMATS = {
  seconds,
  bytes,
  percent: (value) => `${value.toFixed(2)}%`,
  ratio: (value) => `${(value * 100).toFixed(1)}%`,
  count: (value) => value.toLocaleString("en-US"),
  amount: (value) => digits(value),
  joules: (value) => (value >= 1 ? scaled(value, "J") : `${digits(value * 1e3)} mJ`),
  "flops/s": (value) => scaled(value, "FLOP/s"),
  "payload bytes": (value) => scaled(value, "B"),
};

// A value of a table's cell in its unit: how a case ended is a text in any column.
function inUnit(value, unit) {
  if (value === null || value === undefined) return "-";
  return typeof value === "string" ? value.replaceAll(/(?<=\d)x(?=\d)/g, unit === "size" ? "×" : "x") : FORMATS[unit](value);
}

// `0.82 s`, or `0.82 s to 1.1 s` if both ends do not read the same.
function range(low, high) {
  const [from, to] = [seconds(low), seconds(high)];
  if (from === to) return from;
  const [unitFrom, unitTo] = [from.split(" ").pop(), to.split(" ").pop()];
  return unitFrom === unitTo && !from.includes("min") && !to.includes("min")
    ? `${from.slice(0, -unitFrom.length - 1)} to ${to}`
    : `${from} to ${to}`;
}

function money(amount) {
  return `${DATA.currency} ${digits(amount)}`;
}

// An element with attributes, and children that are nodes or texts.
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function kindMark(kind) {
  return kind ? element("span", { class: `kind ${kind}` }, kind) : "";
}

const DATA = JSON.parse(document.getElementById("data").textContent);
