// Lets people put tables in another order; everything is there without it.
(() => {
  const units = { "µs": 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, "%": 1 };
  const value = (text) => {
    const found = /^([+−-]?)([\d.,]+)\s*(µs|ms|s|min|h|%)?/.exec(text.trim());
    if (!found) return text.trim() === "-" ? -Infinity : NaN;
    const number = parseFloat(found[2].replaceAll(",", "")) * (units[found[3]] || 1);
    return found[1] && found[1] !== "+" ? -number : number;
  };
  const order = (body, column, down) => {
    const rows = [...body.rows].map((row) => [row.cells[column].textContent, row]);
    const numbers = rows.every(([text]) => !Number.isNaN(value(text)));
    rows.sort(([a], [b]) => (numbers ? value(a) - value(b) : a.localeCompare(b)) * (down ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sorts")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (table.tBodies[0].rows[0].cells[column].querySelector("svg")) return;
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") !== "descending";
        heads.forEach((one) => one.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        order(table.tBodies[0], column, down);
      });
    });
  }
})();
