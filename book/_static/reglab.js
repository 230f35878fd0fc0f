// Small repairs of what the theme leaves without a name or out of reach for screen readers and keyboards.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll(".bd-sidebar-primary details > summary")) {
    const part = summary.closest("li").querySelector("a").textContent.trim();
    summary.setAttribute("aria-label", `Pages of ${part}`);
  }

  // the parameters of a function over several lines: a list of definitions without terms
  document.querySelectorAll("dt.sig > dl, dt.sig > dl > dd")
    .forEach((node) => node.setAttribute("role", "presentation"));

  // the entries of a bibliography are no list items
  document.querySelectorAll(".citation-list").forEach((list) => list.removeAttribute("role"));

  // what scrolls sideways can be scrolled with the arrow keys
  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    }
  });
  const wide = "pre, .pst-scrollable-table-container, .cell_output .output, div.math";
  document.querySelectorAll(`.bd-article :is(${wide})`).forEach((node) => watcher.observe(node));
});
