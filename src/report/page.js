"use strict";
(() => {
  // What is under the pointer, in words.
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (event) => {
    const mark = event.target.closest("[data-tip]");
    if (!mark) return hide();
    tip.textContent = mark.dataset.tip;
    tip.hidden = false;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    const above = event.clientY - tip.offsetHeight - 14;
    tip.style.left = Math.max(8, Math.min(event.clientX + 12, room)) + "px";
    tip.style.top = (above > 4 ? above : event.clientY + 18) + "px";
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("pointerleave", hide);
  document.addEventListener("scroll", hide, { passive: true });

  // Tables are sorted by the column whose head is pressed; what has no value stays last.
  const value = (row, place) => {
    const cell = row.cells[place];
    if (cell.dataset.v === undefined) return cell.textContent === "–" ? null : cell.textContent;
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  };
  const order = new Intl.Collator(undefined, { numeric: true });
  const compare = (a, b) => (typeof a === "number" ? a - b : order.compare(a, b));
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    const body = table.tBodies[0];
    heads.forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const first = head.classList.contains("n") ? "descending" : "ascending";
        const other = first === "ascending" ? "descending" : "ascending";
        const way = head.getAttribute("aria-sort") === first ? other : first;
        const rows = [...body.rows].map((row) => [value(row, place), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return way === "ascending" ? compare(a, b) : compare(b, a);
        });
        body.append(...rows.map(([, row]) => row));
        heads.forEach((each) => each.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", way);
      });
    });
  }

  // Filters of the table that follows: a choice for each column named.
  for (const filters of document.querySelectorAll("[data-filters]")) {
    const table = filters.parentElement.querySelector("table");
    if (!table) continue;
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent);
    const rows = [...table.tBodies[0].rows];
    const count = document.createElement("span");
    const choices = filters.dataset.filters.split(",").map((name) => {
      const place = heads.indexOf(name);
      const select = document.createElement("select");
      select.add(new Option("all", ""));
      for (const text of [...new Set(rows.map((row) => row.cells[place].textContent))].sort()) {
        select.add(new Option(text, text));
      }
      const label = document.createElement("label");
      label.append(name + " ", select);
      filters.append(label);
      return [place, select];
    });
    const apply = () => {
      let shown = 0;
      for (const row of rows) {
        const fits = choices.every(([place, select]) => !select.value || row.cells[place].textContent === select.value);
        row.hidden = !fits;
        shown += fits;
      }
      count.textContent = shown + " of " + rows.length;
    };
    choices.forEach(([, select]) => select.addEventListener("change", apply));
    filters.append(count);
    filters.hidden = false;
    apply();
  }
})();
