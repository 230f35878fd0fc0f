// Dots: for each arm its seeds, and their mean with its interval, at the last position that has results.
kinds.dots = (panel, { point, pinned, lines, alone, add, table, last, reduce, ends, written, told }) => {
  for (const line of lines) {
    const seeds = last(line, point, "seed"), now = reduce(seeds, ends(line));
    const then = pinned && reduce(last(line, pinned, "seed")).mean;
    const row = { line: line.label, ...now, seeds };
    table.push(row);
    if (now.mean !== null)
      add("lines", { line: line.label, x: now.mean, text: written(now.mean), said: told(row) });
    if (now.low !== null) add("bands", { line: line.label, low: now.low, high: now.high });
    if (then !== null) add("pinned", { line: line.label, x: then });
    const place = (seed) => (2 * seed) / Math.max(1, seeds.length - 1) - 1;
    if (alone === null) seeds.forEach((x, seed) =>
      x === null || add("threads", { line: line.label, x, place: place(seed) }));
  }
};
kinds.dots.pinned = "an upright stroke";
