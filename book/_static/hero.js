// The slider of the landing page: every fit is in the page; without scripts it shows the best one.
document.addEventListener("DOMContentLoaded", () => {
  const hero = document.querySelector(".reglab-hero");
  if (!hero) return;
  const states = JSON.parse(hero.querySelector("script").textContent);
  const slider = hero.querySelector("input");

  function show() {
    const { label, path, said } = states[slider.value];
    hero.querySelector(".hero-fit").setAttribute("d", path);
    hero.querySelector("output").textContent = label;
    hero.querySelector(".hero-said").textContent = said;
    slider.setAttribute("aria-valuetext", `λ = ${label}`);
  }

  slider.addEventListener("input", show);
  hero.querySelector("label").hidden = false;
  hero.querySelector(".hero-still").hidden = true;
  show();
});
