// Tables that are sorted by the buttons in their headers, filtered by text, and opened row by row.
"use strict";

// An element with properties and children; a child that is text stays text, whatever it holds.
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Whether every word of the filter is somewhere in the text.
function matches(text, words) {
  return words.every((word) => text.includes(word));
}

// What is missing comes last in either direction; numbers go by value, texts by their words and the numbers in them.
function compare(first, second, direction) {
  const missing = (value) => value === null || value === undefined || value === "";
  if (missing(first) || missing(second)) return missing(first) - missing(second);
  if (typeof first === "number" && typeof second === "number") return direction * (first - second);
  return direction * String(first).localeCompare(String(second), undefined, { numeric: true });
}

// A table of rows {text, ...}. A column is {title, value(row), show(row), number, long}: `value` is what it is sorted
// by, `show` what stands in the cell, text or an element. `detail(row)` gives what a row opens to, or null.
class SortedTable {
  constructor(place, { caption, columns, rows, detail = null, key = (row) => rows.indexOf(row), changed = () => {} }) {
    Object.assign(this, { columns, rows, detail, key, changed, words: [], sort: null, opened: new Set() });
    this.body = element("tbody");
    this.heads = columns.map((column, index) =>
      element("th", { scope: "col", className: column.number ? "number" : "" },
        element("button", { type: "button", onclick: () => this.sortBy(index) }, column.title)));
    const first = detail ? [element("td", {}, element("span", { className: "note" }, ""))] : [];
    this.empty = element("p", { className: "empty", hidden: true }, "No row matches the filter.");
    place.replaceChildren(
      element("div", { className: "box", tabIndex: 0, role: "region", "aria-label": caption },
        element("table", { "aria-label": caption }, element("thead", {}, element("tr", {}, ...first, ...this.heads)),
          this.body)),
      this.empty);
    this.draw();
  }

  // The first click on a column sorts upwards, the next downwards.
  sortBy(index) {
    const again = this.sort !== null && this.sort.index === index;
    this.sort = { index, direction: again ? -this.sort.direction : 1 };
    this.draw();
    this.changed();
  }

  filter(words) {
    this.words = words;
    this.draw();
  }

  draw() {
    let rows = this.rows.filter((row) => matches(row.text, this.words));
    if (this.sort !== null) {
      const { value } = this.columns[this.sort.index];
      rows = rows
        .map((row, index) => ({ row, index }))
        .sort((a, b) => compare(value(a.row), value(b.row), this.sort.direction) || a.index - b.index)
        .map(({ row }) => row);
    }
    this.heads.forEach((head, index) => {
      if (this.sort === null || this.sort.index !== index) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", this.sort.direction > 0 ? "ascending" : "descending");
    });
    this.body.replaceChildren(...rows.flatMap((row) => this.lines(row)));
    this.empty.hidden = rows.length > 0;
  }

  // A row, and beneath it what it opens to, made when it is opened first.
  lines(row) {
    const cells = this.columns.map((column) =>
      element("td", { className: [column.number && "number", column.long && "long"].filter(Boolean).join(" ") },
        column.show(row)));
    if (this.detail === null) return [element("tr", {}, ...cells)];
    const key = this.key(row);
    const inside = element("div");
    const below = element("tr", { className: "detail", hidden: true },
      element("td", { colSpan: cells.length + 1 }, inside));
    const button = element("button", { type: "button", className: "open", "aria-label": `details of ${row.name}` });
    const show = (open) => {
      if (open && inside.childElementCount === 0) inside.append(...this.detail(row));
      below.hidden = !open;
      button.textContent = open ? "\u2212" : "+";
      button.setAttribute("aria-expanded", String(open));
    };
    button.onclick = () => {
      const open = below.hidden;
      if (open) this.opened.add(key);
      else this.opened.delete(key);
      show(open);
      this.changed();
    };
    show(this.opened.has(key));
    return [element("tr", {}, element("td", {}, button), ...cells), below];
  }
}
