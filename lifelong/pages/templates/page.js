"use strict";
(() => {
  const PAPER = 690; // pixels of a page's width between its margins
  const root = document.documentElement;
  const plots = [...document.querySelectorAll(".plot")];

  // A figure names variables of the page's style where it has colours, so that it follows light, dark and paper.
  const coloured = (value, style) => {
    if (typeof value === "string") return value.replace(/var\((--[\w-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, style)]));
    return value;
  };

  // Where names have no room, points have numbers, and a key below the figure says what they stand for.
  const rooms = new Map();
  const isNumbered = (plot, width) => (width || plot.clientWidth) < rooms.get(plot);
  const number = (plot, data, width) => {
    const numbered = isNumbered(plot, width);
    plot.closest("figure").toggleAttribute("data-numbered", numbered);
    if (!numbered) return;
    data.filter((trace) => trace.meta?.numbers).forEach((trace) => Object.assign(trace, { text: trace.meta.numbers, textposition: "top center" }));
  };

  const draw = (plot, width) => {
    const figure = JSON.parse(document.getElementById(plot.dataset.figure).textContent);
    const { data, layout } = coloured(figure, getComputedStyle(root));
    rooms.set(plot, layout.meta.room_for_names ?? 0);
    number(plot, data, width);
    plot.style.minWidth = width ? "0" : `${layout.meta.least_width}px`;
    layout.hoverlabel = { ...layout.hoverlabel, bgcolor: getComputedStyle(root).getPropertyValue("--card").trim() };
    layout.modebar = { bgcolor: "rgba(0,0,0,0)", color: layout.font.color, activecolor: layout.font.color };
    if (width) Object.assign(layout, { width, autosize: false });
    const settings = { responsive: !width, displaylogo: false, typesetMath: false, modeBarButtons: [["toImage"]], displayModeBar: width ? false : "hover" };
    Plotly.react(plot, data, layout, settings);
    if (layout.meta.highlight) pickOut(plot, data);
  };

  // Of many curves that share a hue, the one that is pointed at stands out.
  const pickOut = (plot, data) => {
    const parts = (event) => data.flatMap((trace, n) => (trace.meta === data[event.points[0].curveNumber].meta ? [n] : []));
    const restyle = (event, colour, width) =>
      Plotly.restyle(plot, { "line.color": colour, "marker.color": colour, "line.width": width }, parts(event));
    const accent = getComputedStyle(root).getPropertyValue("--accent").trim();
    plot.removeAllListeners("plotly_hover");
    plot.removeAllListeners("plotly_unhover");
    const faint = { ...data[0].line }; // restyle writes into data
    plot.on("plotly_hover", (event) => restyle(event, accent, 3));
    plot.on("plotly_unhover", (event) => restyle(event, faint.color, faint.width));
  };

  const drawAll = (width) => plots.forEach((plot) => draw(plot, width));
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawAll());
  addEventListener("beforeprint", () => {
    root.dataset.printed = "";
    document.querySelectorAll("details:not([open])").forEach((part) => { part.open = true; part.dataset.closed = ""; });
    drawAll(PAPER);
  });
  addEventListener("afterprint", () => {
    delete root.dataset.printed;
    document.querySelectorAll("details[data-closed]").forEach((part) => { part.open = false; delete part.dataset.closed; });
    drawAll();
  });

  addEventListener("resize", () => plots.forEach((plot) => {
    if (isNumbered(plot) !== plot.closest("figure").hasAttribute("data-numbered")) draw(plot);
  }));

  document.querySelectorAll("button[data-copy]").forEach((button) =>
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy);
      try {
        await navigator.clipboard.writeText(text.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(text);
        button.textContent = "Selected: copy it";
      }
    }));

  document.querySelectorAll("table[data-sortable]").forEach((table) => {
    const body = table.tBodies[0];
    const key = (row, n) => row.cells[n].dataset.value ?? row.cells[n].textContent.trim().toLowerCase();
    table.querySelectorAll("thead th").forEach((head, n) => {
      head.querySelector("button")?.addEventListener("click", () => {
        const now = head.getAttribute("aria-sort"); // numbers begin with the largest, names with A
        const sign = now ? (now === "descending" ? 1 : -1) : head.hasAttribute("data-number") ? -1 : 1;
        table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        const number = (row) => (key(row, n) === "" ? NaN : Number(key(row, n)));
        const order = (a, b) => {
          if (!head.hasAttribute("data-number")) return sign * key(a, n).localeCompare(key(b, n));
          if (isNaN(number(a)) || isNaN(number(b))) return isNaN(number(a)) - isNaN(number(b)); // what is missing comes last
          return sign * (number(a) - number(b));
        };
        body.append(...[...body.rows].sort(order));
      });
    });
    const filter = document.querySelector(`input[data-filter="${table.id}"]`);
    filter?.addEventListener("input", () => {
      const wanted = filter.value.trim().toLowerCase().split(/\s+/);
      [...body.rows].forEach((row) => { row.hidden = !wanted.every((word) => row.textContent.toLowerCase().includes(word)); });
    });
  });
})();
