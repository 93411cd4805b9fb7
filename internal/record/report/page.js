"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  if (data.accounts.length === 0) return;
  const byId = (id) => document.getElementById(id);
  const grid = byId("grid"), chain = byId("chain"), filter = byId("filter"), problemsOnly = byId("problems-only");
  const mark = { launches: "✓", fails: "✗", inconclusive: "?", pending: "…" };
  const worst = ["fails", "inconclusive", "pending", "launches"];
  const element = (name, text, className) => {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
  };
  // The cases of an account in a region, by launcher; undefined where there is none.
  const casesOf = (account, region) => data.launchers.map((_, launcher) => data.cases[data.cells[region][launcher][account]]);
  const outcomeOf = (cases) => worst.find((o) => cases.some((c) => c && c.outcome === o)) || "";

  const head = grid.createTHead().insertRow();
  for (const title of ["Account", ...data.regions]) {
    const th = element("th", title);
    th.scope = "col";
    head.append(th);
  }
  const body = grid.createTBody();
  const rows = data.accounts.map((account, a) => {
    const row = document.createElement("tr");
    const th = element("th", account);
    th.scope = "row";
    row.append(th);
    row.problem = false;
    data.regions.forEach((region, r) => {
      const cases = casesOf(a, r), outcome = outcomeOf(cases);
      const td = element("td", cases.map((c) => (c ? mark[c.outcome] : "·")).join(""), outcome);
      td.tabIndex = -1;
      td.place = [a, r];
      td.setAttribute("aria-label", `${account}, ${region}: ` + (cases.map((c, l) => (c ? `${data.launchers[l]} ${c.outcome}` : "")).filter(Boolean).join(", ") || "not looked at"));
      if (outcome === "fails" || outcome === "inconclusive") row.problem = true;
      row.append(td);
    });
    return row;
  });
  const cells = (row) => row.cells;
  let shown = [], chosen = null, pinned = false;

  const show = () => {
    const wanted = filter.value.trim();
    shown = rows.filter((row) => row.cells[0].textContent.includes(wanted) && (!problemsOnly.checked || row.problem));
    body.replaceChildren(...shown);
    byId("shown").textContent = `${shown.length} of ${rows.length} accounts`;
    for (const row of rows) for (const td of cells(row)) if (td.tabIndex === 0) td.tabIndex = -1;
    const first = chosen && shown.includes(chosen.parentNode) ? chosen : shown.length ? shown[0].cells[1] : null;
    if (first) first.tabIndex = 0; // one stop for the tab key
  };

  const link = (l, account) => {
    const item = element("li", undefined, l.outcome);
    const named = (text) => text.replaceAll("{account}", account);
    item.append(element("b", l.link), " " + named(l.because));
    if (l.remedy) {
      const pre = element("pre"), copy = element("button", "Copy");
      const text = named(l.remedy);
      pre.append(element("code", text));
      if (l.note) item.append(element("br"), "Remedy, " + named(l.note) + ":");
      copy.type = "button";
      copy.addEventListener("click", () => navigator.clipboard.writeText(text).then(() => { copy.textContent = "Copied"; }, () => getSelection().selectAllChildren(pre)));
      item.append(pre, copy);
    }
    return item;
  };

  const tell = (td) => {
    const [a, r] = td.place, account = data.accounts[a];
    const parts = [element("h3", `${account}, ${data.regions[r]}`)];
    casesOf(a, r).forEach((c, l) => {
      if (!c) return;
      const title = element("h4", " " + data.launchers[l] + ": " + c.outcome), list = element("ol", undefined, "links");
      title.prepend(element("span", mark[c.outcome], "mark " + c.outcome));
      list.append(...c.links.map((one) => link(one, account)));
      parts.push(title, list);
    });
    chain.replaceChildren(...parts);
  };

  const choose = (td, pin) => {
    if (chosen) {
      chosen.removeAttribute("aria-selected");
      chosen.tabIndex = -1;
    }
    const first = shown.length ? shown[0].cells[1] : null;
    if (first) first.tabIndex = -1;
    chosen = td;
    pinned = pin;
    td.setAttribute("aria-selected", "true");
    td.tabIndex = 0;
    tell(td);
  };

  grid.addEventListener("click", (event) => {
    const td = event.target.closest("td");
    if (td) { choose(td, true); td.focus(); }
  });
  grid.addEventListener("mouseover", (event) => {
    const td = event.target.closest("td");
    if (td && !pinned) tell(td);
  });
  grid.addEventListener("focusin", (event) => {
    const td = event.target.closest("td");
    if (td && td !== chosen) choose(td, true);
  });
  grid.addEventListener("keydown", (event) => {
    const td = event.target.closest("td");
    if (!td) return;
    const row = shown.indexOf(td.parentNode), column = td.cellIndex, last = data.regions.length;
    const to = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 1], End: [row, last], PageUp: [Math.max(0, row - 10), column], PageDown: [Math.min(shown.length - 1, row + 10), column],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const target = shown[to[0]] && to[1] >= 1 && shown[to[0]].cells[to[1]];
    if (!target) return;
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  filter.addEventListener("input", show);
  problemsOnly.addEventListener("change", show);
  filter.form.addEventListener("submit", (event) => event.preventDefault());

  byId("launchers").textContent = data.launchers.join(", ");
  show();
  byId("matrix").hidden = false;
  performance.mark("interactive");
})();
