// Bets: every folded answer that waits for one gets a form; after the bet it opens, with a sentence about the guess.
// All sentences come with the page (reglab/bet.py). First bets stay in this browser, by page, for the tally.
document.addEventListener("DOMContentLoaded", () => {
  "use strict";
  const place = `reglab-bets ${location.pathname}`;
  let kept = {};
  try { kept = JSON.parse(localStorage.getItem(place)) ?? {}; } catch { /* no store: they last as long as the page */ }
  const keep = () => { try { localStorage.setItem(place, JSON.stringify(kept)); } catch { /* see above */ } };

  class Bet {
    constructor(box) {
      Object.assign(this, JSON.parse(box.dataset.bet), { box });
      box.querySelector("p").remove(); // the form has the question
      box.insertAdjacentHTML("afterbegin", `${this.form}<div class="reglab-bet-answer">
        <p class="reglab-summary" role="status" tabindex="-1" hidden></p><div></div>
        <p class="reglab-tally" hidden><span></span> <button type="button">Start again</button></p></div>`);
      [this.form, this.fields, this.details] = ["form", "fieldset", "details"].map((tag) => box.querySelector(tag));
      [this.answer, this.drawing, this.tally] = box.querySelector(".reglab-bet-answer").children;
      this.summary = this.details.querySelector("summary");
      this.form.addEventListener("submit", (event) => {
        event.preventDefault();
        kept[this.question] = new FormData(this.form).get("guess");
        keep();
        bets.forEach((bet) => bet.show());
        this.answer.focus({ preventScroll: true }); // the button is gone
      });
      const numbers = [...this.form.querySelectorAll("[type=range], [type=number]")];
      this.form.addEventListener("input", ({ target }) =>
        numbers.filter((one) => one !== target).forEach((one) => (one.value = target.value)));
      this.tally.querySelector("button").addEventListener("click", () => {
        kept = {};
        keep();
        bets.forEach((bet) => bet.reset());
        this.form.querySelector("input").focus();
      });
      // who opens the answer first makes no bet
      this.details.addEventListener("toggle", () => {
        this.fields.disabled ||= this.details.open && !("printed" in this.details.dataset);
      });
      this.reset();
    }
    get judged() { // what the kept bet is worth; null without one that can still be made
      const guess = kept[this.question];
      if (this.answers) {
        if (!Object.hasOwn(this.answers, guess)) return null;
        const [right, text] = this.answers[guess];
        return { guess, right, text, drawing: "" };
      }
      const [[low, high], [start, stop]] = [this.ends, this.inside], number = parseFloat(guess);
      if (!(number >= low && number <= high)) return null;
      const where = number < start ? "low" : number > stop ? "high" : "right";
      const written = (value) => value.toFixed(this.digits).replace("-", "−");
      const fill = { guess: written(number), off: written(Math.abs(number - this.mean)) };
      return {
        guess,
        right: this.mean === null ? null : where === "right",
        text: this.texts[where].replace(/{(guess|off)}/g, (_, name) => fill[name]),
        drawing: this.drawn.replaceAll("{place}", (100 * (number - low) / (high - low)).toFixed(1)),
      };
    }
    show() {
      const judged = this.judged;
      if (judged === null) return;
      const all = bets.map((bet) => bet.judged?.right ?? null).filter((right) => right !== null);
      const count = `${all.length} ${all.length === 1 ? "bet" : "bets"}`;
      const right = all.filter(Boolean).length;
      this.tally.firstElementChild.textContent = `You were right in ${right} of ${count} on this page.`;
      if (this.box.dataset.bet === "made") return;
      this.box.dataset.bet = "made";
      for (const input of this.form.querySelectorAll("input")) {
        if (input.type === "radio") input.checked = input.value === judged.guess;
        else input.value = judged.guess;
      }
      this.fields.disabled = this.details.open = true;
      this.answer.hidden = this.tally.hidden = false;
      this.answer.innerHTML = judged.text;
      this.drawing.innerHTML = judged.drawing;
      this.summary.textContent = "The picture";
    }
    reset() {
      this.box.dataset.bet = "open";
      this.form.reset();
      this.fields.disabled = this.details.open = false;
      this.answer.hidden = this.tally.hidden = true;
      this.answer.innerHTML = this.drawing.innerHTML = "";
      this.summary.textContent = "Open the answer without a bet";
    }
  }
  const bets = [...document.querySelectorAll(".reglab-bet[data-bet]")].map((box) => new Bet(box));
  bets.forEach((bet) => bet.show());
});
