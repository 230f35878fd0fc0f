// Replays recorded grids: every figure that names one becomes a chart with controls. Plain JavaScript, no build step.
// The state of the controls lives in the address (#experiment:noise=0.6&seeds=all), the numbers in a script of their own.
(() => {
  "use strict";
  const here = document.currentScript.src, replays = [], scripts = {};
  const SETS = ["bands", "threads", "pinned", "lines", "marks", "theory", "across", "upright", "labels", "trails", "crosses"];
  const load = (url) => (scripts[url] ??= new Promise((onload, onerror) =>
    document.head.append(Object.assign(document.createElement("script"), { src: url, onload, onerror }))));
  const shown = (text) => String(text).replace(/[&<]/g, (sign) => `&#${sign.charCodeAt()};`);
  const theme = () => document.documentElement.dataset.theme ?? "light";
  const finite = (values) => values.filter((value) => value !== null);
  const mean = (values) => (finite(values).length ? finite(values).reduce((a, b) => a + b) / finite(values).length : null);
  const written = (value) => {
    if (value === null) return "none";
    if (Math.abs(value) < 1e-6) return "0";
    return (Math.abs(value) >= 0.095 && Math.abs(value) < 100 ? value.toFixed(2) : String(+value.toPrecision(3))).replace("-", "−");
  };
  function interval(values, quantiles) { // Student's 95 % interval of the mean; none where a run is missing
    const middle = values.includes(null) ? null : mean(values), n = values.length;
    if (middle === null || n < 2) return { mean: middle, low: null, high: null };
    const half = quantiles[n] * Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (n - 1) / n);
    return { mean: middle, low: middle - half, high: middle + half };
  }

  function decode(variable) { // whole steps, as differences along the last axis
    const length = variable.shape.at(-1) ?? 1;
    let whole = 0;
    variable.values = variable.data.map((step, i) => {
      whole = (i % length ? whole : 0) + (step ?? 0);
      const value = variable.low + variable.step * whole;
      if (variable.log && step !== null) return whole < 0 ? 0 : 10 ** value; // below the smallest logarithm lies zero
      return step === null ? null : value;
    });
    variable.strides = variable.shape.map((_, i) => variable.shape.slice(i + 1).reduce((a, b) => a * b, 1));
    return variable;
  }
  function slice(grid, name, at, ...kept) { // nested along the kept axes, from the outside; a missing axis has length 1
    const variable = grid.variables[name].values ? grid.variables[name] : decode(grid.variables[name]);
    const walk = (offset, [dim, ...others]) => {
      if (dim === undefined) return variable.values[offset];
      const i = variable.dims.indexOf(dim);
      return Array.from({ length: variable.shape[i] ?? 1 }, (_, k) => walk(offset + k * (variable.strides[i] ?? 0), others));
    };
    return walk(variable.dims.reduce((sum, dim, i) => sum + (kept.includes(dim) ? 0 : at[dim] ?? 0) * variable.strides[i], 0), kept);
  }
  function latest(grid, source, point, kept) { // the last place along a further axis, if there is one, that has results
    const at = { ...point, ...source.at }, dims = grid.variables[source.variable].dims;
    const axis = dims.find((dim) => !kept.includes(dim) && !(dim in at));
    if (!axis) return at;
    const along = slice(grid, source.variable, at, axis, ...kept);
    return { ...at, [axis]: Math.max(0, along.findLastIndex((values) => values.flat(3).some((value) => value !== null))) };
  }

  // One panel at one grid point: rows for the chart by the name of their data set, and rows for the table.
  function rows(grid, panel, state, point, pinned) {
    const found = Object.fromEntries(SETS.map((name) => [name, []])), table = [];
    const hidden = (at) => state.off.includes(grid.arms[at?.arm]);
    const reduce = (seeds) => (state.seeds >= 0 ? { mean: seeds[state.seeds], low: null, high: null } : interval(seeds, grid.quantiles));
    const column = (seeds, k) => seeds.map((values) => values[k]);
    if (panel.kind === "curves" || panel.kind === "shares") curves();
    else if (panel.kind === "dots") panel.lines.filter((line) => !hidden(line.at)).forEach(dots);
    else if (!hidden(panel.points.at)) points();
    for (const rule of panel.rules) {
      const place = rule.variable ? mean(slice(grid, rule.variable, { ...point, ...rule.at }, "seed")) : rule.at;
      if (place !== null) found[rule.axis === "x" ? "upright" : "across"].push({ [rule.axis]: place, label: rule.label });
    }
    return { found, table };

    function curves() {
      const x = grid.axes[panel.axis].values, shares = panel.kind === "shares", below = x.map(() => 0), before = x.map(() => 0);
      for (const line of panel.lines.filter((line) => !hidden(line.at))) {
        const seeds = slice(grid, line.variable, { ...point, ...line.at }, "seed", panel.axis);
        const old = pinned && slice(grid, line.variable, { ...pinned, ...line.at }, "seed", panel.axis);
        x.forEach((place, k) => {
          const base = { line: line.label, x: place }, now = reduce(column(seeds, k)), then = old && reduce(column(old, k)).mean;
          table.push({ ...base, ...now, seeds: column(seeds, k) });
          if (then !== null) found.pinned.push({ ...base, y: shares ? (before[k] += then) : then });
          if (now.mean === null) return;
          if (shares) {
            found.bands.push({ ...base, low: below[k], high: below[k] + now.mean });
            if (k === x.length - 1 && now.mean > 0.07) found.labels.push({ ...base, y: below[k] + now.mean / 2 });
            below[k] += now.mean;
          } else {
            found.lines.push({ ...base, y: now.mean });
            if (state.seeds === "mean" && now.low !== null) found.bands.push({ ...base, low: now.low, high: now.high });
            if (k % Math.ceil(x.length / 8) === 0 || k === x.length - 1) found.marks.push({ ...base, y: now.mean });
          }
          if (!shares && state.seeds === "all") column(seeds, k).forEach((y, seed) =>
            y === null || found.threads.push({ ...base, seed: `${line.label} ${seed}`, y }));
        });
      }
      panel.theory.filter((source) => !hidden(source.at)).forEach((source, line) => {
        const expected = slice(grid, source.variable, { ...point, ...source.at }, "seed", panel.axis);
        x.forEach((place, k) => mean(column(expected, k)) === null || found.theory.push({ line, x: place, y: mean(column(expected, k)) }));
      });
    }
    function dots(line) {
      const seeds = slice(grid, line.variable, latest(grid, line, point, ["seed"]), "seed"), now = reduce(seeds);
      const then = pinned && reduce(slice(grid, line.variable, latest(grid, line, pinned, ["seed"]), "seed")).mean;
      table.push({ line: line.label, ...now, seeds });
      if (now.mean !== null) found.lines.push({ line: line.label, x: now.mean, text: written(now.mean) });
      if (now.low !== null) found.bands.push({ line: line.label, low: now.low, high: now.high });
      if (then !== null) found.pinned.push({ line: line.label, x: then });
      if (!(state.seeds >= 0)) seeds.forEach((x, seed) =>
        x === null || found.threads.push({ line: line.label, x, place: (2 * seed) / Math.max(1, seeds.length - 1) - 1 }));
    }
    function points() { // one run only is recorded of these
      const places = (source, where) => {
        if (!source || !where) return [];
        const kept = grid.variables[source.variable].dims.slice(-2);
        return slice(grid, source.variable, { ...latest(grid, source, where, ["seed", ...kept]), seed: 0 }, ...kept);
      };
      const groups = panel.groups && slice(grid, panel.groups.variable, point, grid.variables[panel.groups.variable].dims.at(-1));
      const origin = places(panel.origin, point), plain = ([x, y]) => ({ x, y });
      places(panel.points, point).forEach(([x, y], i) => {
        if (x === null) return;
        found.lines.push({ line: String(groups ? Math.round(groups[i]) : 0), x, y });
        if (origin.length) found.trails.push({ x: origin[i][0], y: origin[i][1], x2: x, y2: y });
      });
      [found.crosses, found.pinned] = [places(panel.crosses, point).map(plain), places(panel.points, pinned).map(plain)];
    }
  }

  class Replay {
    constructor(figure) {
      Object.assign(this, { figure, key: figure.dataset.replay, charts: [] });
    }
    open() { return (this.opened ??= this.build()); }
    note(text) { this.figure.insertAdjacentHTML("beforeend", `<p class="reglab-note">${text}</p>`); }
    async build() {
      try {
        await Promise.all([load(new URL(this.figure.dataset.grid, location.href).href), load(new URL("charts/vega.js", here).href)]);
      } catch {
        return this.note("The recorded runs could not be loaded.");
      }
      this.grid = window.reglabGrids[this.key];
      if (!this.grid) return this.note("No runs are recorded here yet.");
      for (const node of this.figure.children) node.hidden = true;
      this.figure.insertAdjacentHTML("beforeend", this.grid.html);
      this.box = this.figure.lastElementChild;
      this.part = (name) => this.box.querySelector(`.reglab-${name}`);
      [this.controls, this.sliders, this.boxes] = ["select", "input[type=range]", "input[type=checkbox]"].map((tag) => [...this.box.querySelectorAll(tag)]);
      this.box.addEventListener("input", () => this.set({}));
      this.box.addEventListener("click", ({ target }) => this[target.dataset.does]?.(target));
      this.part("table").addEventListener("toggle", () => this.tabulate());
      this.read();
      await this.draw();
      this.figure.dataset.ready = "";
    }
    get state() { // what the controls show
      const [picture, seeds] = this.controls.map((control) => control.value);
      return { at: this.sliders.map((slider) => +slider.value), picture: +picture, seeds: seeds < 0 || isNaN(seeds) ? seeds : +seeds,
        off: this.boxes.filter((box) => !box.checked).map((box) => box.name), pin: this.pinned, present: this.presented };
    }
    set(change) {
      this.show({ ...this.state, ...change });
      this.draw();
      write();
    }
    show(state) {
      this.sliders.forEach((slider, i) => (slider.value = state.at[i]));
      [this.controls[0].value, this.controls[1].value] = [state.picture, state.seeds];
      this.boxes.forEach((box) => (box.checked = !state.off.includes(box.name)));
      [this.pinned, this.presented] = [state.pin, state.present];
    }
    get start() { return { at: this.grid.start, picture: 0, seeds: "mean", off: [], pin: null, present: null }; }
    pin() { this.set({ pin: this.pinned ? null : this.state.at }); }
    reset() { this.set({ ...this.start, present: this.presented }); }
    presenting() { this.set({ present: this.presented ? null : [] }); }
    draw() {
      const { grid, state } = this, view = grid.views[state.picture], point = (at) => at && Object.fromEntries(grid.knobs.map((knob, i) => [knob.name, at[i]]));
      const words = (at) => grid.sentences[grid.knobs.reduce((sum, knob, i) => sum * knob.values.length + at[i], 0)][state.seeds >= 0 ? state.seeds + 1 : 0];
      const named = (at) => grid.knobs.map((knob, i) => `${knob.label} ${knob.values[at[i]]}`).join(", ");
      this.sliders.forEach((slider, i) => {
        slider.nextElementSibling.value = grid.knobs[i].values[state.at[i]];
        slider.setAttribute("aria-valuetext", grid.knobs[i].values[state.at[i]]);
      });
      this.boxes.forEach((box, arm) =>
        (box.parentElement.hidden = !view.panels.some((panel) => [...panel.lines, panel.points].some((line) => line?.at?.arm === arm))));
      this.box.querySelector("[data-does=pin]").textContent = state.pin ? "Unpin" : "Pin";
      this.present();
      const frame = [state.picture, theme(), Boolean(this.presented)].join();
      if (this.frame !== frame) return this.layOut(view, frame);
      this.result = view.panels.map((panel) => rows(grid, panel, state, point(state.at), point(state.pin)));
      this.part("summary").textContent = words(state.at);
      this.part("then").textContent = state.pin ? `Dotted, pinned at ${named(state.pin)}: ${words(state.pin)}` : "";
      this.charts.forEach(({ chart, node, names, panel }, i) => {
        names.forEach((name) => chart.data(name, this.result[i].found[name]));
        chart.run();
        const ends = [...new Map(this.result[i].table.map((row) => [row.line, row])).values()];
        node.setAttribute("aria-label", `${panel.question} At the end, ${ends.map((row) => `${row.line}: ${written(row.mean)}` +
          (row.low === null ? "" : ` (${written(row.low)} to ${written(row.high)})`)).join("; ")}`);
      });
      this.tabulate();
    }
    async layOut(view, frame) { // new axes: another picture, another theme, another size
      this.frame = frame;
      this.charts.splice(0).forEach(({ chart }) => chart.finalize());
      this.part("panels").innerHTML = view.html;
      const night = theme() === "dark", large = Boolean(this.presented), size = large ? 18 : 12;
      const config = { font: "system-ui, sans-serif", view: { stroke: null }, aria: false, text: { fontSize: size - 1 }, axis: { labelFontSize: size,
        labelColor: night ? "#e8e8e8" : "#303030", gridColor: night ? "#4a4f57" : "#e2e2e2", domainColor: "#8a8a8a", tickColor: "#8a8a8a" } };
      const charts = await Promise.all([...this.box.querySelectorAll(".reglab-chart")].map(async (node, i) => {
        const panel = view.panels[i], text = JSON.stringify(panel.spec), square = Math.min(node.clientWidth, large ? 600 : 380);
        const spec = JSON.parse(night ? text.replace(/#[0-9A-F]{6}/g, (color) => this.grid.night[color] ?? color) : text);
        const names = spec.data.map((data) => data.name).filter((name) => SETS.includes(name));
        const { view: chart } = await vegaEmbed(node, spec, { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, tooltip: false, config });
        panel.kind === "points" ? chart.width(square).height(square) : chart.height(spec.height * (large ? 1.5 : 1));
        node.querySelector("svg").ariaHidden = "true"; // its place has the description
        return { chart, node, names, panel };
      }));
      if (this.frame !== frame) return charts.forEach(({ chart }) => chart.finalize()); // overtaken by a later one
      this.charts = charts;
      return this.draw();
    }
    tabulate() {
      const details = this.part("table"), cells = (tag, texts) => `<tr>${texts.map((text) => `<${tag}>${shown(text)}</${tag}>`).join("")}</tr>`;
      if (details.open) details.lastElementChild.innerHTML = this.result.map(({ table }, i) => {
        const panel = this.grid.views[this.state.picture].panels[i], curve = panel.axis ? [this.grid.axes[panel.axis].label] : [];
        return table.length ? `<table><caption>${shown(panel.question)}</caption>${cells("th", ["line", ...curve, "mean", "low", "high"])}` +
          table.map((row) => cells("td", [row.line, ...(panel.axis ? [row.x] : []), ...[row.mean, row.low, row.high].map(written)])).join("") + "</table>" : "";
      }).join("");
    }
    csv() {
      const { grid, state } = this, quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
      const lines = [[...grid.knobs.map((knob) => knob.name), "panel", "line", "x", "seed", "value"]];
      this.result.forEach(({ table }, i) => table.forEach((row) => row.seeds.forEach((value, seed) => lines.push([
        ...grid.knobs.map((knob, k) => knob.values[state.at[k]]), grid.views[state.picture].panels[i].question, row.line, row.x ?? "", grid.seeds[seed], value ?? ""]))));
      return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
    }
    download() {
      const href = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
      Object.assign(document.createElement("a"), { href, download: `${this.key}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 1000);
    }
    copy(button) {
      const address = `${location.href.split("#")[0]}#${this.written() || `${this.key}:`}`, done = () => (button.textContent = "Copied");
      navigator.clipboard ? navigator.clipboard.writeText(address).then(done, () => prompt("The link to this setting:", address)) : prompt("The link to this setting:", address);
      setTimeout(() => (button.textContent = "Copy link"), 1500);
    }
    present() { // a modal dialog hides the rest of the page, from screen readers too, and closes with Escape
      const chosen = this.presented ?? [], wanted = Boolean(this.presented);
      for (const control of [...this.sliders, ...this.controls]) control.closest("label").hidden = chosen.length > 0 && !chosen.includes(control.name);
      this.box.querySelector("[data-does=presenting]").textContent = wanted ? "Leave" : "Present";
      if (wanted === Boolean(this.dialog)) return;
      if (wanted) {
        this.dialog = Object.assign(document.createElement("dialog"), { className: "reglab-present", ariaLabel: this.grid.name });
        this.dialog.addEventListener("close", () => this.presented && this.set({ present: null }));
        this.figure.append(this.dialog);
        this.dialog.append(this.box);
        this.dialog.showModal();
      } else {
        this.figure.append(this.box);
        this.dialog.remove();
        this.dialog = null;
      }
    }
    written() {
      const { grid, state } = this, given = grid.knobs.map((knob, i) => [knob.name, state.at[i] === grid.start[i] ? null : knob.values[state.at[i]]]);
      given.push(["picture", state.picture ? grid.views[state.picture].title : null], ["seeds", state.seeds >= 0 ? grid.seeds[state.seeds] : state.seeds === "all" ? "all" : null]);
      given.push(["off", state.off.length ? state.off : null], ["pin", state.pin?.map((at, i) => grid.knobs[i].values[at])], ["present", state.present]);
      const kept = given.filter(([, value]) => value !== null && value !== undefined);
      return kept.length ? `${this.key}:${kept.map(([name, value]) => `${name}=${[value].flat().map(encodeURIComponent).join()}`).join("&")}` : "";
    }
    read() {
      const given = Object.fromEntries((fragments()[this.key] ?? "").split("&").filter(Boolean).map((pair) => [pair.split("=")[0], pair.split("=").slice(1).join("=").split(",").map(decodeURIComponent)]));
      const { grid } = this, place = (knob, text) => (text ? knob.values.findIndex((value) => String(value) === text || +text === value) : -1);
      const at = grid.knobs.map((knob, i) => (place(knob, given[knob.name]?.[0]) < 0 ? grid.start[i] : place(knob, given[knob.name][0])));
      const pin = grid.knobs.map((knob, i) => place(knob, given.pin?.[i]));
      const seed = grid.seeds.findIndex((one) => String(one) === given.seeds?.[0]);
      this.show({ at, picture: Math.max(0, grid.views.findIndex((view) => view.title === given.picture?.[0])), seeds: given.seeds?.[0] === "all" ? "all" : seed < 0 ? "mean" : seed,
        off: given.off ?? [], pin: pin.includes(-1) ? null : pin, present: given.present?.filter(Boolean) ?? null });
    }
  }
  const fragments = () => Object.fromEntries(location.hash.slice(1).split(";").filter((part) => part.includes(":"))
    .map((part) => [part.slice(0, part.indexOf(":")).toLowerCase(), part.slice(part.indexOf(":") + 1)]));
  function write() {
    const text = replays.filter((replay) => replay.box).map((replay) => replay.written()).filter(Boolean).join(";");
    history.replaceState(history.state, "", text ? `#${text}` : location.pathname + location.search);
  }
  async function follow() { // go to what the address names; other fragments are the browser's
    for (const replay of replays.filter((one) => one.key in fragments())) {
      const known = replay.box;
      await replay.open();
      if (known) [replay.read(), replay.draw()];
      replay.figure.scrollIntoView({ block: "start" });
    }
  }
  document.addEventListener("DOMContentLoaded", () => {
    replays.push(...[...document.querySelectorAll("figure[data-replay]")].map((figure) => new Replay(figure)));
    const watch = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
      watch.unobserve(target);
      replays.find((replay) => replay.figure === target).open();
    }), { rootMargin: "800px" });
    replays.forEach((replay) => watch.observe(replay.figure));
    new MutationObserver(() => replays.forEach((replay) => replay.box && replay.draw())).observe(document.documentElement, { attributeFilter: ["data-theme"] });
    window.addEventListener("hashchange", follow);
    follow();
  });
  window.reglabReplays = replays; })();
