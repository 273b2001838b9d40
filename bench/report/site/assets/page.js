"use strict";
// What happens when: a choice, another address, the colours, and the libraries once they are there.

function showChoice() {
  fillLists();
  showAnswer();
  showPlots();
}

function showNotice(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
}

function onChoice(event) {
  chosen[event.target.name] = event.target.value;
  if (event.target.name === "card") moveToAnswered();
  settle();
  history.replaceState(null, "", addressOfChoice());
  showNotice("");
  showChoice();
}

function onAddress() {
  if (location.hash && !location.hash.includes("=")) return; // a part of the page
  const unknown = readAddress();
  const names = unknown.map((field) => `${field} “${new URLSearchParams(location.hash.slice(1)).get(field)}”`);
  showNotice(unknown.length ? `This page does not have the ${names.join(", ")} of the link. The nearest is shown.` : "");
  showChoice();
}

async function copyLink() {
  const told = document.getElementById("copied");
  const link = new URL(addressOfChoice(), location.href).href;
  history.replaceState(null, "", addressOfChoice());
  try {
    await navigator.clipboard.writeText(link);
    told.textContent = "Copied.";
  } catch {
    told.textContent = "The link is in the address bar.";
  }
}

const DARK = matchMedia("(prefers-color-scheme: dark)");

function stored(value) {
  try {
    if (value !== undefined) localStorage.setItem("hybrid-bench-theme", value);
    return localStorage.getItem("hybrid-bench-theme");
  } catch {
    return null; // some browsers keep nothing for files
  }
}

function paint(theme) {
  const isDark = theme === "dark" || (theme !== "light" && DARK.matches);
  document.documentElement.classList.toggle("dark", isDark);
  document.getElementById("theme").setAttribute("aria-pressed", String(isDark));
  if (VERDICTS) showPlots();
}

function start() {
  let theme = stored();
  const button = document.getElementById("theme");
  button.addEventListener("click", () => {
    theme = document.documentElement.classList.contains("dark") ? "light" : "dark";
    stored(theme);
    paint(theme);
  });
  DARK.addEventListener("change", () => paint(theme));
  if (VERDICTS) {
    Object.assign(chosen, { card: DATA.usual.card, model: DATA.usual.model, operation: DATA.usual.operation });
    form.addEventListener("change", onChoice);
    for (const event of ["pointerdown", "focus"]) form.elements.model.addEventListener(event, () => showAliases(true));
    form.elements.model.addEventListener("blur", () => showAliases(false));
    document.getElementById("copy").addEventListener("click", copyLink);
    addEventListener("hashchange", onAddress);
    onAddress();
    if (!location.hash.includes("=")) {
      settle();
      moveToAnswered();
      showChoice();
    }
  }
  paint(theme);
}

// Called at the end of the page: the answer is there before the libraries are read.
async function startLibraries() {
  if (VERDICTS) showPlots();
  await loadTables();
  await drawing;
  document.documentElement.dataset.ready = "yes";
}

start();
