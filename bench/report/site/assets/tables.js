"use strict";
// The tables of records: sorted, filtered, searched and paged by DataTables.

const TEXT = new Set(["text", "size"]);
const NAMES = ["Device", "Model", "Operation"];
const FILTERED = ["Device", "Model", "Operation", "Precision"];

function escaped(text) {
  return text.replaceAll(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

// A sort key: sizes by their product, numbers by themselves, and texts among numbers (OOM) after them.
function orderOf(value, unit) {
  if (unit === "size") return (value?.match(/\d+/g) ?? []).reduce((product, number) => product * Number(number), 1);
  if (TEXT.has(unit)) return (value ?? "").toLowerCase();
  return typeof value === "number" ? value : value === null ? Number.MAX_VALUE : Number.MAX_VALUE / 2;
}

function cellText(value, type, unit) {
  if (type === "sort" || type === "type") return orderOf(value, unit);
  const text = TEXT.has(unit) && unit !== "size" ? (value ?? "-") : inUnit(value, unit);
  return type === "display" ? escaped(text) : text;
}

function columnsOf(key) {
  const named = NAMES.map((name) => ({ name, unit: "text", extra: false }));
  return [...named, ...DATA.columns[key]].map((column, index) => ({
    title: escaped(column.name),
    visible: !column.extra,
    className: TEXT.has(column.unit) ? "dt-left" : "dt-right",
    type: TEXT.has(column.unit) && column.unit !== "size" ? "string" : "num",
    data: index,
    render: (value, type) => cellText(value, type, column.unit),
  }));
}

function showTable(DataTable, key) {
  const place = document.getElementById(`table-${key}`);
  if (!place || place.dataset.shown) return;
  place.dataset.shown = "yes";
  const rows = DATA.rows[key].flatMap(([device, model, operation, members]) => members.map((row) => [device, model, operation, ...row]));
  const table = new DataTable(place, {
    data: rows,
    columns: columnsOf(key),
    order: [],
    pageLength: 10,
    deferRender: true,
    autoWidth: false,
    layout: { topStart: { buttons: [{ extend: "colvis", text: "Columns" }, { extend: "csv", text: "CSV", title: null, filename: `hybrid-bench-${key}` }] }, topEnd: "search", bottomStart: "info", bottomEnd: "paging" },
    language: { search: "Search:", searchPlaceholder: "any text", emptyTable: "No rows.", info: "_START_ to _END_ of _TOTAL_ rows", infoFiltered: "(of _MAX_)", infoEmpty: "No rows" },
  });
  addFilters(table, place.closest("details").querySelector(".filters"), key, rows);
}

// A list for each column by which readers look things up, with the values that it has.
function addFilters(table, place, key, rows) {
  const names = [...NAMES, ...DATA.columns[key].map((column) => column.name)];
  for (const name of FILTERED) {
    const index = names.indexOf(name);
    const values = unique(rows.map((row) => row[index])).sort();
    if (values.length < 2) continue;
    const list = element("select", {}, new Option("all", ""), ...values.map((value) => new Option(value, value)));
    list.addEventListener("change", () => {
      const wanted = list.value;
      table.column(index).search(wanted ? (text) => text === wanted : "").draw();
    });
    place.append(element("label", {}, name, " ", list));
  }
}

async function loadTables() {
  const text = document.getElementById("tables-library").textContent;
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const library = await import(address);
  URL.revokeObjectURL(address);
  const DataTable = library.jQuery.fn.dataTable;
  for (const part of document.querySelectorAll("details.table")) {
    const show = () => part.open && showTable(DataTable, part.dataset.table);
    part.addEventListener("toggle", show);
    show();
  }
}
