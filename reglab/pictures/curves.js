// Curves: means along an axis with intervals, seeds, a pinned run and a theory.
kinds.curves = (panel, tools) => {
  const { grid, point, pinned, lines, all, alone, add, table, read, reduce, ends, hidden, mean } = tools;
  const x = grid.axes[panel.axis].values, column = (seeds, k) => seeds.map((values) => values[k]);
  for (const line of lines) {
    let best = null;
    const seeds = read(line, point, "seed", panel.axis), old = pinned && read(line, pinned, "seed", panel.axis);
    x.forEach((place, k) => {
      const base = { line: line.label, x: place }, now = reduce(column(seeds, k), ends(line));
      const then = old && reduce(column(old, k)).mean;
      table.push({ ...base, ...now, seeds: column(seeds, k) });
      const marked = k % Math.ceil(x.length / 8) === 0 || k === x.length - 1;
      if (then !== null) add("pinned", { ...base, y: then });
      if (then !== null && marked) add("hollow", { ...base, y: then });
      if (all) column(seeds, k).forEach((y, seed) =>
        y === null || add("threads", { ...base, seed: `${line.label} ${seed}`, y }));
      if (now.mean === null) return;
      add("lines", { ...base, y: now.mean });
      if (line.label === panel.peak && !(now.mean <= best?.y)) best = { ...base, y: now.mean };
      if (!all && alone === null && now.low !== null) add("bands", { ...base, low: now.low, high: now.high });
      if (marked) add("marks", { ...base, y: now.mean });
    });
    if (best) add("peak", best);
  }
  panel.theory.filter((source) => !hidden(source.at)).forEach((source, line) => {
    const expected = read(source, point, "seed", panel.axis);
    x.forEach((place, k) => {
      const y = mean(column(expected, k));
      if (y !== null) add("theory", { line, x: place, y });
    });
  });
};
kinds.curves.pinned = "dotted, with hollow marks";
