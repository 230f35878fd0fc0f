// Histogram: the share of the items in each bin, run by run, as steps, at the last position that has results.
kinds.histogram = (panel, tools) => {
  const { point, pinned, lines, all, alone, add, table, last, reduce, finite, written } = tools, said = [];
  const { edges } = panel, count = edges.length - 1, width = (edges[count] - edges[0]) / count;
  const shares = (values) => {
    const there = finite(values), found = Array(count).fill(there.length ? 0 : null);
    for (const value of there)
      found[Math.min(count - 1, Math.max(0, Math.floor((value - edges[0]) / width)))] += 1 / there.length;
    return found;
  };
  for (const line of lines) {
    const now = last(line, point, "seed", panel.items).map(shares);
    const then = pinned && last(line, pinned, "seed", panel.items).map(shares);
    const rows = Array.from({ length: count }, (_, k) => {
      const seeds = now.map((values) => values[k]);
      const row = { line: line.label, x: edges[k], ...reduce(seeds, [0, 1]), seeds };
      const before = then && reduce(then.map((values) => values[k])).mean;
      for (const x of [edges[k], edges[k + 1]]) { // a step has two ends
        const base = { line: line.label, x };
        if (before !== null) add("pinned", { ...base, y: before });
        if (row.mean !== null) add("lines", { ...base, y: row.mean });
        if (!all && alone === null && row.low !== null) add("bands", { ...base, low: row.low, high: row.high });
        if (all) seeds.forEach((y, seed) =>
          y === null || add("threads", { ...base, seed: `${line.label} ${seed}`, y }));
      }
      const middle = { line: line.label, x: edges[k] + width / 2 }, marked = k % Math.ceil(count / 8) === 0;
      if (marked && row.mean !== null) add("marks", { ...middle, y: row.mean });
      if (marked && before !== null) add("hollow", { ...middle, y: before });
      return row;
    });
    table.push(...rows);
    const most = rows.reduce((best, row) => (row.mean > best.mean ? row : best));
    const [from, to] = [most.x, most.x + width].map(written);
    said.push(most.mean === null ? `${line.label}: no data`
      : `${line.label} most from ${from} to ${to} (share ${written(most.mean)})`);
  }
  return `${panel.x}, ${count} bins: ${said.join("; ")}.`;
};
kinds.histogram.pinned = "dotted, with hollow marks";
