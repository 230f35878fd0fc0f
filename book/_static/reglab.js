// Small repairs of what the theme leaves without a name for screen readers.
document.addEventListener("DOMContentLoaded", () => {
  for (const summary of document.querySelectorAll(".bd-sidebar-primary details > summary")) {
    const part = summary.closest("li").querySelector("a").textContent.trim();
    summary.setAttribute("aria-label", `Pages of ${part}`);
  }
  // the parameters of a function over several lines: a list of definitions without terms
  document.querySelectorAll("dt.sig > dl, dt.sig > dl > dd").forEach((node) => node.setAttribute("role", "presentation"));
  // the entries of a bibliography are no list items
  document.querySelectorAll(".citation-list").forEach((list) => list.removeAttribute("role"));
});
