"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const element = (name, text, className) => {
    const e = document.createElement(name);
    if (text !== undefined) e.textContent = text;
    if (className) e.className = className;
    return e;
  };

  const time = document.querySelector("time"), at = new Date(time.dateTime);
  if (!isNaN(at)) {
    time.textContent = at.toLocaleString(undefined, { year: "numeric", month: "long", day: "numeric", hour: "numeric", minute: "2-digit", timeZoneName: "short" });
    time.title = time.dateTime;
  }

  const copies = (button, text, pre) => {
    button.hidden = false;
    button.addEventListener("click", () => navigator.clipboard.writeText(text).then(
      () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 2000); },
      () => getSelection().selectAllChildren(pre)));
  };
  for (const button of document.querySelectorAll(".copy")) {
    const pre = button.parentNode.querySelector("pre");
    copies(button, pre.textContent, pre);
  }

  const data = JSON.parse(byId("data").textContent);
  if (data.accounts.length === 0) return;
  const grid = byId("grid"), scroll = grid.parentNode, more = byId("more");
  const accountFilter = byId("account"), regionFilter = byId("region"), problemsOnly = byId("problems-only");
  const mark = { fails: "✗", inconclusive: "?", pending: "…", launches: "✓" };
  const severity = ["fails", "inconclusive", "pending"];
  const many = 100; // rows are drawn at once

  // summary counts the outcomes of cells and says which is the worst.
  const casesOf = (a, r) => data.launchers.map((_, l) => data.cases[data.cells[r][l][a]]).filter(Boolean);
  const count = () => ({ fails: 0, inconclusive: 0, pending: 0, launches: 0 });
  const add = (to, from) => { for (const o in from) to[o] += from[o]; return to; };
  const worst = (n) => severity.find((o) => n[o] > 0) || (n.launches > 0 ? "launches" : "");
  const label = (n) => { const o = worst(n); return o === "" ? "·" : o === "launches" ? mark[o] : mark[o] + n[o]; };
  const byWorst = (a, b) => severity.reduce((c, o) => c || b.total[o] - a.total[o], 0) || a.index - b.index;

  const accounts = data.accounts.map((name, index) => ({ name, index, total: count(), cells: [] }));
  const regions = data.regions.map((name, index) => ({ name, index, total: count() }));
  for (const a of accounts) {
    for (const r of regions) {
      const n = count();
      for (const c of casesOf(a.index, r.index)) n[c.outcome]++;
      a.cells.push(n);
      add(a.total, n);
      add(r.total, n);
    }
  }
  accounts.sort(byWorst);
  regions.sort(byWorst);

  let columns = [], rows = [], drawn = 0, open = null;
  const body = grid.createTBody();

  const totals = (total) => {
    const o = worst(total), e = element("span", o === "" || o === "launches" ? "" : label(total), "total " + o);
    if (e.textContent) e.setAttribute("aria-label", `${total[o]} ${o}`);
    return e;
  };

  const rowOf = (a) => {
    const row = document.createElement("tr"), th = element("th", a.name);
    th.scope = "row";
    th.append(totals(a.total));
    row.append(th);
    for (const r of columns) {
      const n = a.cells[r.index], outcome = worst(n), td = element("td", label(n), outcome);
      td.tabIndex = -1;
      td.place = [a, r];
      td.setAttribute("aria-label", `${a.name}, ${r.name}: ` + (Object.keys(n).filter((o) => n[o]).map((o) => `${n[o]} ${o}`).join(", ") || "not checked"));
      row.append(td);
    }
    return row;
  };

  const draw = (n) => {
    const to = Math.min(rows.length, drawn + n);
    body.append(...rows.slice(drawn, to).map(rowOf));
    drawn = to;
    more.hidden = drawn === rows.length;
    more.textContent = `Show the other ${(rows.length - drawn).toLocaleString()} accounts`;
  };

  const show = () => {
    close();
    const matches = (filter, thing) => thing.name.includes(filter.value.trim()) && (!problemsOnly.checked || !["", "launches"].includes(worst(thing.total)));
    columns = regions.filter((r) => matches(regionFilter, r));
    rows = columns.length ? accounts.filter((a) => matches(accountFilter, a)) : [];
    grid.tHead?.remove();
    const head = grid.createTHead().insertRow(), corner = element("th", "Account");
    corner.scope = "col";
    head.append(corner);
    for (const r of columns) {
      const th = document.createElement("th");
      th.scope = "col";
      th.append(element("span", r.name, "name"), totals(r.total));
      head.append(th);
    }
    body.replaceChildren();
    drawn = 0;
    draw(many);
    byId("shown").textContent = `${rows.length.toLocaleString()} of ${accounts.length.toLocaleString()} accounts, ${columns.length} of ${regions.length} Regions`;
    const first = body.querySelector("td");
    if (first) first.tabIndex = 0; // one stop for the tab key
  };

  const link = (l, account) => {
    const item = element("li", undefined, l.outcome), named = (text) => text.replaceAll("{account}", account);
    item.append(element("b", (data.names[l.link] ?? l.link) + ":"), " " + named(l.because) + (l.evidence ? ` (${l.evidence})` : ""));
    if (l.remedy) {
      const box = element("div", undefined, "remedy"), pre = element("pre"), button = element("button", "Copy", "copy"), text = named(l.remedy);
      pre.append(element("code", text));
      pre.tabIndex = 0;
      button.type = "button";
      copies(button, text, pre);
      box.append(element("p", "Remedy" + (l.note ? ", " + named(l.note) : "") + ":"), pre, button);
      item.append(box);
    }
    return item;
  };

  const close = () => {
    if (!open) return;
    open.setAttribute("aria-expanded", "false");
    open.parentNode.nextElementSibling.remove();
    open = null;
  };

  // expand shows why, below the row that was chosen.
  const expand = (td) => {
    const again = td === open;
    close();
    if (again) return;
    const [a, r] = td.place, panel = element("div", undefined, "panel");
    panel.append(element("h3", `${a.name} in ${r.name}`));
    const groups = new Map(); // launchers for which the same holds
    data.launchers.forEach((launcher, l) => {
      const c = data.cases[data.cells[r.index][l][a.index]];
      if (!c) return;
      const key = JSON.stringify(c);
      if (!groups.has(key)) groups.set(key, { c, launchers: [] });
      groups.get(key).launchers.push(launcher);
    });
    for (const { c, launchers } of groups.values()) {
      const title = element("h4", ` ${launchers.join(", ")}: ${c.outcome}`), list = element("ol", undefined, "links");
      title.prepend(element("span", mark[c.outcome], "sign " + c.outcome));
      list.append(...c.links.map((one) => link(one, a.name)));
      panel.append(title, list);
    }
    const row = element("tr", undefined, "detail"), cell = element("td");
    cell.colSpan = columns.length + 1;
    panel.style.width = scroll.clientWidth + "px";
    cell.append(panel);
    row.append(cell);
    td.parentNode.after(row);
    td.setAttribute("aria-expanded", "true");
    open = td;
  };

  const focus = (td) => {
    for (const other of body.querySelectorAll("td[tabindex='0']")) other.tabIndex = -1;
    td.tabIndex = 0;
    td.focus({ preventScroll: true });
    td.scrollIntoView({ block: "nearest", inline: "nearest" });
  };

  grid.addEventListener("click", (event) => {
    const td = event.target.closest("td");
    if (td && td.place) { focus(td); expand(td); }
  });
  grid.addEventListener("keydown", (event) => {
    const td = event.target;
    if (!td.place) {
      if (event.key === "Escape" && open) { const cell = open; close(); focus(cell); }
      return;
    }
    if (event.key === "Escape") return close();
    if (event.key === "Enter" || event.key === " ") { event.preventDefault(); return expand(td); }
    const list = [...body.rows].filter((row) => row.className !== "detail");
    const row = list.indexOf(td.parentNode), column = td.cellIndex, last = columns.length;
    const to = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 1], End: [row, last], PageUp: [Math.max(0, row - 10), column], PageDown: [Math.min(list.length - 1, row + 10), column],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    const target = list[to[0]] && to[1] >= 1 && list[to[0]].cells[to[1]];
    if (target) focus(target);
  });
  for (const filter of [accountFilter, regionFilter, problemsOnly]) filter.addEventListener("input", show);
  accountFilter.form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => draw(rows.length));
  addEventListener("resize", () => { if (open) open.parentNode.nextElementSibling.querySelector(".panel").style.width = scroll.clientWidth + "px"; });

  byId("launchers").textContent = data.launchers.join(", ");
  byId("matrix").hidden = false;
  show();
  performance.mark("interactive");
})();
