// Shares: means stacked on each other along an axis; a pinned run as dotted lines.
kinds.shares = (panel, { grid, point, pinned, lines, add, table, read, reduce, ends }) => {
  const x = grid.axes[panel.axis].values, below = x.map(() => 0), before = x.map(() => 0);
  const column = (seeds, k) => seeds.map((values) => values[k]);
  for (const line of lines) {
    const seeds = read(line, point, "seed", panel.axis), old = pinned && read(line, pinned, "seed", panel.axis);
    x.forEach((place, k) => {
      const base = { line: line.label, x: place }, now = reduce(column(seeds, k), ends(line));
      const then = old && reduce(column(old, k)).mean;
      table.push({ ...base, ...now, seeds: column(seeds, k) });
      if (then !== null) add("pinned", { ...base, y: (before[k] += then) });
      if (now.mean === null) return;
      add("bands", { ...base, low: below[k], high: below[k] + now.mean });
      if (k === x.length - 1 && now.mean > 0.07) add("labels", { ...base, y: below[k] + now.mean / 2 });
      below[k] += now.mean;
    });
  }
};
kinds.shares.pinned = "dotted";
