"use strict";
document.documentElement.classList.add("scripted");

// Tables: a click on a heading sorts (again: the other way), what is absent stays last either way.
const text = (row, column) => row.cells[column].innerText.trim();
const number = (row, column) => {
  const value = row.cells[column].dataset.sort;
  return value === undefined ? NaN : Number(value.replace("inf", "Infinity"));
};

function sort(table, column, descending) {
  const body = table.tBodies[0];
  const rows = Array.from(body.rows);
  const numeric = rows.some((row) => row.cells[column].dataset.sort !== undefined);
  const keys = new Map(rows.map((row) => [row, numeric ? number(row, column) : text(row, column)]));
  const absent = (key) => (numeric ? Number.isNaN(key) : key === "" || key === "–");
  const collator = new Intl.Collator(document.documentElement.lang, { numeric: true });
  rows.sort((first, second) => {
    const a = keys.get(first), b = keys.get(second);
    if (absent(a) || absent(b)) return absent(a) - absent(b);
    const order = numeric ? (a < b ? -1 : a > b ? 1 : 0) : collator.compare(a, b);
    return descending ? -order : order;
  });
  body.append(...rows);
}

// Headings are text with a role: Chromium does not paint buttons in the headings that print repeats on each page.
for (const title of document.querySelectorAll("th span")) {
  const heading = title.parentElement;
  title.setAttribute("role", "button");
  title.tabIndex = 0;
  title.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    title.click();
  });
  title.addEventListener("click", () => {
    const descending = heading.getAttribute("aria-sort") === "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    sort(heading.closest("table"), heading.cellIndex, descending);
  });
}

// Filters: a row stays if it has every word.
for (const input of document.querySelectorAll("input[data-for]")) {
  const rows = Array.from(document.getElementById(input.dataset.for).tBodies[0].rows);
  const contents = rows.map((row) => row.textContent.toLowerCase());
  const count = document.querySelector(`output[data-of="${input.dataset.for}"] span`);
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    rows.forEach((row, i) => {
      row.hidden = !words.every((word) => contents[i].includes(word));
      shown += !row.hidden;
    });
    count.textContent = shown;
  };
  input.addEventListener("input", apply);
  if (input.value) apply();
}

// Theme: automatic, light, dark; remembered where the browser lets a file remember.
const themes = ["auto", "light", "dark"];
const button = document.getElementById("theme");
const label = button.querySelector("span");
function choose(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  label.textContent = button.dataset[theme];
  button.value = theme;
}
let remembered = null;
try { remembered = localStorage.getItem("theme"); } catch { /* storage is switched off */ }
choose(themes.includes(remembered) ? remembered : "auto");
button.hidden = false;
button.addEventListener("click", () => {
  choose(themes[(themes.indexOf(button.value) + 1) % themes.length]);
  try { localStorage.setItem("theme", button.value); } catch { /* storage is switched off */ }
});
