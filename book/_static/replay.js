// Replays recorded grids: every figure that names one becomes a chart with controls. Plain JavaScript, no build step.
// The state of the controls lives in the address (#experiment:noise=0.6&seeds=all), the numbers in a script of their
// own; what the kinds of panels do with them, in the script that brings Vega (see reglab/pictures).
(() => {
  "use strict";
  const here = document.currentScript.src, replays = [], scripts = {};
  const load = (url) => (scripts[url] ??= new Promise((onload, onerror) =>
    document.head.append(Object.assign(document.createElement("script"), { src: url, onload, onerror }))));
  const below = /(?<!\p{L})(\p{L})_([\p{L}\p{N}_]+)/gu; // as `reglab.pictures.words.SUBSCRIPT` has it: λ_H, Tr Σ_W
  const shown = (text) => String(text).replace(/[&<]/g, (sign) => `&#${sign.charCodeAt()};`)
    .replace(below, "$1<sub>$2</sub>");
  const lower = (chart) => chart.querySelectorAll("svg text").forEach((text) => { // SVG knows no <sub>
    if (text.textContent.search(below) < 0) return;
    const pieces = '$1<tspan dy="0.3em" font-size="75%">$2</tspan><tspan dy="-0.225em">\u200B</tspan>';
    text.innerHTML = text.innerHTML.replace(below, pieces);
  });
  const theme = () => document.documentElement.dataset.theme ?? "light";
  const finite = (values) => values.filter((value) => value !== null);
  const mean = (values) => {
    const there = finite(values);
    return there.length ? there.reduce((a, b) => a + b) / there.length : null;
  };
  const written = (value) => { // as `reglab.pictures.words.number` writes it
    if (value === null) return "none";
    if (Math.abs(value) < 1e-6) return "0";
    const [digits, power] = value.toExponential(2).split("e").map(Number);
    const exponent = `e${power < 0 ? "-" : "+"}${String(Math.abs(power)).padStart(2, "0")}`;
    const text = Math.abs(value) >= 0.095 && Math.abs(value) < 100 ? value.toFixed(2)
      : power < -4 || power > 2 ? digits + exponent : String(+value.toPrecision(3));
    return text.replaceAll("-", "−");
  };
  const even = (mean, low, high) => { // as `reglab.pictures.words.even` writes them
    const values = [mean, low, high], half = (high - low) / 2;
    if (low === null || !(half > 0)) return values.map(written);
    const place = Math.floor(Math.log10(half));
    const decimals = Math.max(0, -place + (half < 3 * 10 ** place ? 1 : 0));
    if (decimals > 6 || Math.max(...values.map(Math.abs)) >= 1e5) return values.map(written);
    return values.map((value) => value.toFixed(decimals).replace(/^-(?=[0.]*$)/, "").replace("-", "−"));
  };
  function interval(values, quantiles, [least, most]) { // Student's 95 % interval of the mean, cut at what is possible
    const middle = values.includes(null) ? null : mean(values), n = values.length;
    if (middle === null || n < 2) return { mean: middle, low: null, high: null };
    const half = quantiles[n] * Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (n - 1) / n);
    const cut = (end) => Math.min(most ?? Infinity, Math.max(least ?? -Infinity, end));
    return { mean: middle, low: cut(middle - half), high: cut(middle + half) };
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
      const stride = variable.strides[i] ?? 0;
      return Array.from({ length: variable.shape[i] ?? 1 }, (_, k) => walk(offset + k * stride, others));
    };
    const start = variable.dims.map((dim, i) => (kept.includes(dim) ? 0 : at[dim] ?? 0) * variable.strides[i]);
    return walk(start.reduce((a, b) => a + b, 0), kept);
  }
  function latest(grid, source, point, kept) { // the last place along a further axis, if there is one, that has results
    const at = { ...point, ...source.at }, dims = grid.variables[source.variable].dims;
    const axis = dims.find((dim) => !kept.includes(dim) && !(dim in at));
    if (!axis) return at;
    const along = slice(grid, source.variable, at, axis, ...kept);
    const reached = along.findLastIndex((values) => [values].flat(4).some((value) => value !== null));
    return { ...at, [axis]: Math.max(0, reached) };
  }

  // One panel at one grid point: rows for the chart by the name of their data set, rows for the table, perhaps words.
  // The kinds of panels are scripts of their own (window.reglabKinds), which get the panel and these tools.
  function rows(grid, panel, state, point, pinned) {
    const found = {}, table = [], add = (name, row) => (found[name] ??= []).push(row);
    const hidden = (at) => state.off.includes(grid.arms[at?.arm]);
    const alone = state.seeds >= 0 ? state.seeds : null;
    const read = (source, where, ...kept) => slice(grid, source.variable, { ...where, ...source.at }, ...kept);
    const lastPlace = (source, where, ...kept) => latest(grid, source, where, kept);
    const last = (source, where, ...kept) =>
      slice(grid, source.variable, lastPlace(source, where, ...kept), ...kept);
    const ends = (source) => grid.variables[source.variable].ends;
    const reduce = (seeds, limits = []) =>
      (alone === null ? interval(seeds, grid.quantiles, limits) : { mean: seeds[alone], low: null, high: null });
    const chosen = (seeds) => (alone === null ? seeds : [seeds[alone]]);
    const lines = panel.lines.filter((line) => !hidden(line.at));
    const words = window.reglabKinds[panel.kind](panel, {
      grid, point, pinned, lines, alone, all: state.seeds === "all", add, table, hidden, read, last, lastPlace,
      reduce, ends, chosen, mean, finite, written, told });
    for (const rule of panel.rules) {
      const place = rule.variable ? mean(read(rule, point, "seed")) : rule.at;
      if (place !== null) add(rule.axis === "x" ? "upright" : "across", { [rule.axis]: place, label: rule.label });
    }
    if (panel.axis || panel.edges) strips(panel, table).forEach((strip) => add("strips", strip));
    const reach = panel.heights && heights(panel, found);
    if (reach) found.across = (found.across ?? []).filter(({ y }) => y >= reach[0] && y <= reach[1]);
    return { found, table, reach, words: words ?? atTheEnd(table) };
  }
  function heights({ heights: common, log }, found) { // of curves: as `reglab.pictures.heights` says it
    const along = (value) => (log ? Math.log10(value) : value);
    const all = (names, ...fields) => names.flatMap((name) => found[name] ?? [])
      .flatMap((row) => fields.map((field) => row[field])).filter((value) => !log || value > 0).map(along);
    const curves = all(["lines", "threads", "pinned"], "y"), room = along(common[1]) - along(common[0]);
    const low = Math.min(...curves), high = Math.max(...curves), span = high - low;
    if (!(span > 0.001 * room && span < 0.3 * room)) return common;
    const beside = [...all(["bands"], "low", "high"), ...all(["theory", "across"], "y")]
      .map((value) => Math.min(high + span, Math.max(low - span, value)));
    const least = Math.min(low, ...beside), most = Math.max(high, ...beside), margin = 0.05 * (most - least);
    return [least - margin, most + margin].map((value) => (log ? 10 ** value : value));
  }
  function told(row) { // one row of a table, in words
    const [middle, low, high] = even(row.mean, row.low, row.high);
    return `${row.line}: ${low === "none" ? middle : `${middle} (${low} to ${high})`}`;
  }
  function atTheEnd(table) { // the last row of each line, in words
    const last = [...new Map(table.map((row) => [row.line, row])).values()];
    return last.length ? `At the end, ${last.map(told).join("; ")}` : "No data.";
  }
  function strips(panel, table) { // what is nearest to each place along the axis, and what a hand there is told
    const places = [...new Set(table.map((row) => row.x))];
    const borders = panel.edges ?? [...places.map((x, k) => (x + (places[k - 1] ?? x)) / 2), places.at(-1)];
    return places.map((x, k) => ({ low: borders[k], high: borders[k + 1],
      said: [`${panel.along} ${+x.toPrecision(4)}`, ...table.filter((row) => row.x === x).map(told)].join("\n") }));
  }

  class Replay {
    constructor(figure) {
      Object.assign(this, { figure, key: figure.dataset.replay, charts: [] });
    }
    open() { return (this.opened ??= this.build()); }
    note(text) {
      this.figure.querySelector(":scope > .reglab-note")?.remove();
      if (text) this.figure.insertAdjacentHTML("beforeend", `<p class="reglab-note" role="status">${text}</p>`);
    }
    async build() {
      try {
        const files = [new URL(this.figure.dataset.grid, location.href), new URL("charts/vega.js", here)];
        await Promise.all(files.map((file) => load(file.href)));
      } catch {
        return this.note("The recorded runs could not be loaded.");
      }
      this.grid = window.reglabGrids[this.figure.dataset.grid];
      if (!this.grid) return this.note("No runs are recorded here yet.");
      for (const node of this.figure.children) node.hidden = true;
      this.figure.insertAdjacentHTML("beforeend", this.grid.html);
      this.box = this.figure.lastElementChild;
      this.part = (name) => this.box.querySelector(`.reglab-${name}`);
      const all = (tag) => [...this.box.querySelectorAll(tag)];
      [this.controls, this.sliders, this.boxes] = ["select", "input[type=range]", "input[type=checkbox]"].map(all);
      this.box.addEventListener("input", () => this.set({}));
      this.box.addEventListener("click", (event) => {
        this.tell(event.target.__data__?.tooltip, event); // what Vega knows of a mark: a finger never moves over it
        this[event.target.dataset.does]?.(event.target);
      });
      this.part("table").addEventListener("toggle", () => this.tabulate());
      this.read();
      await this.draw();
      this.figure.dataset.ready = "";
    }
    get state() { // what the controls show
      const [picture, seeds] = this.controls.map((control) => control.value);
      return {
        at: this.sliders.map((slider) => +slider.value),
        picture: +picture,
        seeds: isNaN(seeds) ? seeds : +seeds,
        off: this.boxes.filter((box) => !box.checked).map((box) => box.name),
        pin: this.pinned,
        present: this.presented,
      };
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
    rows(view, at, pin) { // what the panels of a picture show at a setting
      const point = (at) => at && Object.fromEntries(this.grid.knobs.map((knob, i) => [knob.name, at[i]]));
      return view.panels.map((panel) => rows(this.grid, panel, this.state, point(at), point(pin)));
    }
    draw() {
      const { grid, state } = this, view = grid.views[state.picture];
      const place = (at) => grid.knobs.reduce((sum, knob, i) => sum * knob.values.length + at[i], 0);
      const words = (at) => { // the headline, or else what the first panel of the picture shows
        if (view.headline) return grid.sentences[place(at)][state.seeds >= 0 ? state.seeds + 1 : 0];
        const [known] = at === state.at ? this.result : this.rows(view, at);
        return `${view.panels[0].question} ${known.words}`;
      };
      const named = (at) => grid.knobs.map((knob, i) => `${knob.label} ${knob.values[at[i]]}`).join(", ");
      this.sliders.forEach((slider, i) => {
        slider.nextElementSibling.value = grid.knobs[i].values[state.at[i]];
        slider.setAttribute("aria-valuetext", grid.knobs[i].values[state.at[i]]);
      });
      const shows = (arm) => view.panels.some((panel) => panel.lines.some((line) => line.at.arm === arm));
      this.boxes.forEach((box, arm) => (box.parentElement.hidden = !shows(arm)));
      this.box.querySelector("[data-does=pin]").textContent = state.pin ? "Unpin" : "Pin";
      this.present();
      this.result = this.rows(view, state.at, state.pin);
      this.part("summary").innerHTML = shown(words(state.at));
      const frame = [state.picture, theme(), Boolean(this.presented)].join();
      if (this.frame !== frame) return this.layOut(view, frame);
      this.part("then").innerHTML = state.pin ? shown(`Pinned at ${named(state.pin)}: ${words(state.pin)}`) : "";
      this.charts.forEach(({ chart, node, names, panel }, i) => {
        const { found, reach } = this.result[i];
        names.forEach((name) => chart.data(name, found[name] ?? []));
        if (reach) chart.signal("heights", reach);
        node.parentElement.toggleAttribute("data-fitted", reach !== panel.heights);
        chart.runAsync().then(() => lower(node));
        node.setAttribute("aria-label", `${panel.question} ${this.result[i].words}`);
        const keys = node.parentElement.querySelector(".reglab-keys");
        keys.querySelector(".reglab-pinned")?.remove();
        if (this.result[i].found.pinned) keys.insertAdjacentHTML("beforeend", '<span class="reglab-pinned">'
          + `pinned (${window.reglabKinds[panel.kind].pinned}): ${shown(named(state.pin))}</span>`);
      });
      this.tabulate();
    }
    async layOut(view, frame) { // new axes: another picture, another theme, another size
      this.frame = frame;
      this.charts.splice(0).forEach(({ chart }) => chart.finalize());
      this.part("panels").innerHTML = view.html;
      const night = theme() === "dark", large = Boolean(this.presented), size = large ? 24 : 12;
      const ink = night ? "#e8e8e8" : "#303030", quiet = "#8a8a8a";
      const config = {
        font: "system-ui, sans-serif",
        style: { cell: { stroke: "transparent" } },
        aria: false,
        text: { fontSize: size - 1 },
        axis: { labelFontSize: size, labelLimit: large ? 300 : 180, labelColor: ink, labelOverlap: true,
          gridColor: night ? "#4a4f57" : "#e2e2e2",
          domainColor: quiet, tickColor: quiet },
        legend: { labelFontSize: size - 1, labelColor: ink },
      };
      const options = { mode: "vega", renderer: "svg", actions: false, defaultStyle: false, config,
        ast: true, // expressions are interpreted, not compiled, which a server may forbid
        tooltip: (chart, event, mark, text) => this.tell(text, event) };
      const space = large && this.space(view); // before there are charts
      const charts = await Promise.all([...this.box.querySelectorAll(".reglab-chart")].map(async (node, i) => {
        const panel = view.panels[i], text = JSON.stringify(panel.spec);
        const dark = (color) => this.grid.night[color] ?? color;
        const spec = JSON.parse(night ? text.replace(/#[0-9A-F]{6}/g, dark) : text);
        const square = Math.min(node.clientWidth, large ? Math.max(space, 240) : 380);
        const names = spec.data.filter((data) => !data.source && !data.values).map((data) => data.name);
        const { view: chart } = await vegaEmbed(node, spec, options);
        if (panel.aspect) chart.width(square).height(square / panel.aspect);
        else chart.height(large ? Math.max(space, 180) : Math.min(spec.height, node.clientWidth));
        node.querySelector("svg").ariaHidden = "true"; // its place has the description
        return { chart, node, names, panel };
      }));
      if (this.frame !== frame) return charts.forEach(({ chart }) => chart.finalize()); // overtaken by a later one
      this.charts = charts;
      return this.draw();
    }
    tell(text, event) { // beside the hand, what it points at; the table says the same to those who use no hand
      const tip = this.part("tip"), { clientWidth } = document.documentElement;
      tip.innerHTML = shown(text ?? "");
      if (!text) return; // a chart that goes has no event
      const left = Math.max(4, Math.min(event.clientX + 14, clientWidth - tip.offsetWidth - 4));
      tip.style.translate = `${left}px ${event.clientY + 14}px`;
    }
    space(view) { // what the presented page has left for each row of charts, less a margin
      const { paddingTop, paddingBottom } = getComputedStyle(this.dialog);
      const free = this.dialog.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
      const columns = getComputedStyle(this.part("grid")).gridTemplateColumns.split(" ").length;
      const used = [...this.dialog.children].reduce((sum, one) => sum + one.offsetHeight, 0);
      return (free - used - 12) / Math.ceil(view.panels.length / columns);
    }
    tabulate() {
      const details = this.part("table"), panels = this.grid.views[this.state.picture].panels;
      if (!details.open) return;
      const cells = (tag, texts) => `<tr>${texts.map((text) => `<${tag}>${shown(text)}</${tag}>`).join("")}</tr>`;
      details.lastElementChild.innerHTML = this.result.map(({ table }, i) => {
        const { question, along } = panels[i];
        if (!table.length) return "";
        const head = cells("th", ["line", ...(along ? [along] : []), "mean", "low", "high"]);
        const body = table.map((row) =>
          cells("td", [row.line, ...(along ? [row.x] : []), ...even(row.mean, row.low, row.high)]));
        return `<table><caption>${shown(question)}</caption>${head}${body.join("")}</table>`;
      }).join("");
    }
    csv() {
      const { grid, state } = this, panels = grid.views[state.picture].panels;
      const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
      const lines = [[...grid.knobs.map((knob) => knob.name), "panel", "line", "x", "seed", "value"]];
      const knobs = grid.knobs.map((knob, k) => knob.values[state.at[k]]);
      this.result.forEach(({ table }, i) => table.forEach((row) => row.seeds.forEach((value, seed) =>
        lines.push([...knobs, panels[i].question, row.line, row.x ?? "", grid.seeds[seed], value ?? ""]))));
      return lines.map((line) => line.map(quoted).join(",")).join("\n") + "\n";
    }
    download() {
      const href = URL.createObjectURL(new Blob([this.csv()], { type: "text/csv" }));
      Object.assign(document.createElement("a"), { href, download: `${this.key}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(href), 1000);
    }
    copy(button) {
      const address = `${location.href.split("#")[0]}#${this.written() || `${this.key}:`}`;
      const done = () => (button.textContent = "Copied"), ask = () => prompt("The link to this setting:", address);
      navigator.clipboard ? navigator.clipboard.writeText(address).then(done, ask) : ask();
      setTimeout(() => (button.textContent = "Copy link"), 1500);
    }
    present() { // a modal dialog hides the rest of the page, from screen readers too, and closes with Escape
      const chosen = this.presented ?? [], wanted = Boolean(this.presented);
      for (const control of [...this.sliders, ...this.controls])
        control.closest("label").hidden = chosen.length > 0 && !chosen.includes(control.name);
      this.box.querySelector("[data-does=presenting]").textContent = wanted ? "Leave" : "Present";
      if (wanted === Boolean(this.dialog)) return;
      if (wanted) {
        this.dialog = document.createElement("dialog");
        Object.assign(this.dialog, { className: "reglab-present", ariaLabel: this.grid.name });
        this.dialog.addEventListener("close", () => this.presented && this.set({ present: null }));
        this.dialog.addEventListener("keydown", (event) => this.pressed(event));
        this.figure.append(this.dialog);
        const title = document.querySelector("h1")?.firstChild?.textContent ?? this.grid.name;
        this.dialog.innerHTML = `<p class="reglab-title">${shown(title)}<span>Page Down: next picture · F: full screen`
          + " · Escape: leave</span></p>";
        this.dialog.append(this.box);
        this.dialog.showModal();
      } else {
        this.figure.append(this.box);
        this.dialog.remove();
        this.dialog = null;
      }
    }
    pressed(event) {
      const count = this.grid.views.length, next = { PageDown: 1, PageUp: count - 1 }[event.key];
      if (next) this.set({ picture: (this.state.picture + next) % count });
      else if (event.key.toLowerCase() !== "f" || event.ctrlKey || event.metaKey || event.altKey) return;
      else document.fullscreenElement ? document.exitFullscreen() : this.dialog.requestFullscreen();
      event.preventDefault();
    }
    written() {
      const { grid, state } = this, value = (knob, at) => knob.values[at];
      const given = grid.knobs.map((knob, i) =>
        [knob.name, state.at[i] === grid.start[i] ? null : value(knob, state.at[i])]);
      given.push(["picture", state.picture ? grid.views[state.picture].title : null]);
      given.push(["seeds", state.seeds >= 0 ? grid.seeds[state.seeds] : state.seeds === "all" ? "all" : null]);
      given.push(["off", state.off.length ? state.off : null]);
      given.push(["pin", state.pin?.map((at, i) => value(grid.knobs[i], at))], ["present", state.present]);
      const kept = given.filter(([, value]) => value !== null && value !== undefined);
      const pairs = kept.map(([name, value]) => `${name}=${[value].flat().map(encodeURIComponent).join()}`);
      return pairs.length ? `${this.key}:${pairs.join("&")}` : "";
    }
    read() {
      const { grid } = this;
      let given = Object.create(null);
      try {
        for (const pair of (fragments()[this.key] ?? "").split("&").filter(Boolean)) {
          const [name, ...rest] = pair.split("=");
          given[name] = rest.join("=").split(",").map(decodeURIComponent);
        }
        this.note("");
      } catch { // a % that is followed by no number of a character
        given = Object.create(null);
        this.note("The address of this setting is damaged, so the default is shown.");
      }
      const same = (value, text) => String(value) === text || +text === value;
      const place = (knob, text) => (text ? knob.values.findIndex((value) => same(value, text)) : -1);
      const at = grid.knobs.map((knob, i) => {
        const found = place(knob, given[knob.name]?.[0]);
        return found < 0 ? grid.start[i] : found;
      });
      const pin = grid.knobs.map((knob, i) => place(knob, given.pin?.[i]));
      const seed = grid.seeds.findIndex((one) => String(one) === given.seeds?.[0]);
      this.show({
        at,
        picture: Math.max(0, grid.views.findIndex((view) => view.title === given.picture?.[0])),
        seeds: given.seeds?.[0] === "all" ? "all" : seed < 0 ? "mean" : seed,
        off: given.off ?? [],
        pin: pin.includes(-1) ? null : pin,
        present: given.present?.filter(Boolean) ?? null,
      });
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
      await window.MathJax?.startup?.promise; // formulas above it move it
      replay.figure.scrollIntoView({ block: "start" });
    }
  }
  function skipTo(replay) { // for keyboards: one link at the top of the page, shown while it has the focus
    replay.figure.id ||= `chart-${replay.key}`;
    const link = Object.assign(document.createElement("a"), { href: `#${replay.figure.id}` });
    link.textContent = "Skip to the chart";
    link.addEventListener("click", async (event) => {
      event.preventDefault(); // the address keeps the settings
      await replay.open();
      replay.figure.scrollIntoView({ block: "start" });
      replay.sliders?.[0].focus({ preventScroll: true });
    });
    const place = Object.assign(document.createElement("div"), { className: "skip-link d-print-none" });
    place.append(link);
    document.body.prepend(place);
  }
  document.addEventListener("DOMContentLoaded", () => {
    replays.push(...[...document.querySelectorAll("figure[data-replay]")].map((figure) => new Replay(figure)));
    const watch = new IntersectionObserver((entries) => {
      for (const { target } of entries.filter((entry) => entry.isIntersecting)) {
        watch.unobserve(target);
        replays.find((replay) => replay.figure === target).open();
      }
    }, { rootMargin: "800px" });
    replays.forEach((replay) => watch.observe(replay.figure));
    if (replays.length) skipTo(replays[0]);
    const again = new MutationObserver(() => replays.forEach((replay) => replay.box && replay.draw()));
    again.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    window.addEventListener("hashchange", follow);
    follow();
  });
  window.reglabReplays = replays; })();
