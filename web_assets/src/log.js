// The viewer of a log: only the rows on the screen exist, whatever the log's length.
//
// The scroller's height stands for all lines, scaled down where they are too many for a browser. The share of it that
// is scrolled says which line lies at the same share of the window; rows are laid out around that line. So rows may
// have any height, and both ends fit exactly.
import { Lines } from "./log-lines.js";
import { paint } from "./log-paint.js";
import { lost } from "./connection.js";
import htmx from "htmx.org";

const TALLEST = 8_000_000;
const LOWEST_ROW = 20;

class Viewer {
  constructor(root) {
    this.root = root;
    this.scroller = root.querySelector(".log");
    this.space = root.querySelector(".log-space");
    this.pane = root.querySelector(".log-pane");
    this.status = root.querySelector("[data-log-status]");
    this.rowHeight = LOWEST_ROW;
    this.hits = [];
    this.hit = -1;
    this.words = "";
    this.lines = new Lines(root.dataset.log, Number(root.dataset.first), Number(root.dataset.end), () => this.plan());
    this.following = root.dataset.live === "true";
    this.attempt = root.dataset.attempt ? Number(root.dataset.attempt) : null;
    this.share = 0;
    this.setTop = 0;
    this.drawn = 0;
    this.controls();
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    // At once, however long the log: browsers take their time for it.
    this.scroller.addEventListener("keydown", (event) => {
      if (event.key !== "End" && event.key !== "Home") return;
      event.preventDefault();
      this.share = event.key === "End" ? 1 : 0;
      this.moved = true;
      if (this.source) this.follow(this.share === 1);
      this.plan();
    });
    new ResizeObserver(() => this.plan()).observe(this.scroller);
    if (root.dataset.live === "true") this.listen();
    this.plan();
    if (location.hash.startsWith("#line-")) this.goTo(Number(location.hash.slice(6)) - 1);
  }

  // ---- drawing, once per frame at most
  plan() {
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      this.draw();
    });
  }

  draw() {
    const count = this.lines.count;
    this.fit(count);
    const height = this.scroller.clientHeight;
    this.root.querySelector(".log-empty").hidden = count > 0;
    this.keepPlace(count, height);
    this.space.style.height = `${Math.min(Math.max(count * this.rowHeight, height), TALLEST)}px`;
    const room = this.scroller.scrollHeight - height;
    // The browser's own scrolling may be under way: it is led only where something moved.
    if (this.moved) this.scroller.scrollTop = this.share * room;
    else this.share = this.shareNow();
    this.moved = false;
    this.setTop = this.scroller.scrollTop;
    const anchor = Math.max(Math.min(this.share * count, count - 1e-9), 0);
    const middle = Math.floor(anchor);
    const around = Math.ceil(height / LOWEST_ROW) + 2;
    const from = Math.max(0, middle - around);
    const to = Math.min(count, middle + around + 1);
    this.fill(from, to);
    this.pane.style.height = `${height}px`;
    this.place(from, to, count, middle, anchor - middle, this.share * height, room > 0);
  }

  // A short log that is over needs no window to scroll in.
  fit(count) {
    if (this.source) return;
    this.full ??= this.scroller.clientHeight;
    const needed = count * this.rowHeight + 24;
    this.scroller.style.height = needed < this.full ? `${Math.max(needed, 120)}px` : "";
  }

  // Which share of the log is scrolled: to the end while following, to a line that was asked for; and lines that
  // come at the end move nothing that is on the screen.
  keepPlace(count, height) {
    if (this.wanted !== undefined) {
      this.share = (this.lines.indexOf(this.wanted) + 0.5) / Math.max(count, 1);
      this.wanted = undefined;
      this.moved = true;
    } else if (this.following) {
      this.share = 1;
      this.moved = true;
    } else if (count !== this.drawn && this.drawn) {
      const before = this.drawn * this.rowHeight - height;
      const after = count * this.rowHeight - height;
      this.share = before > 0 && after > 0 ? Math.min((this.share * before) / after, 1) : 0;
      this.moved = true;
    }
    this.drawn = count;
  }

  fill(from, to) {
    const rows = [];
    for (let index = from; index < to; index += 1) {
      const number = this.lines.numberAt(index);
      rows.push(paint(this.lines.at(index), number, this.words, this.hits[this.hit] === number));
    }
    this.rows().replaceChildren(...rows);
    this.lines.want(from, to);
  }

  rows() {
    this.holder ??= this.pane.appendChild(Object.assign(document.createElement("div"), { className: "log-rows" }));
    return this.holder;
  }

  place(from, to, count, middle, part, y, scrolls) {
    const holder = this.rows();
    const measured = holder.scrollHeight;
    if (to > from) {
      const average = measured / (to - from);
      // An estimate for the scroller's height, made once: to change it while somebody scrolls would stop them.
      if (!this.estimated && this.lines.at(from)) {
        this.estimated = true;
        this.rowHeight = average;
        this.moved = true;
        this.plan();
      }
    }
    if (!scrolls || (from === 0 && to === count && measured <= this.scroller.clientHeight)) {
      holder.style.transform = "none";
      return;
    }
    const row = holder.children[middle - from];
    const shift = row ? y - (row.offsetTop + part * row.offsetHeight) : 0;
    holder.style.transform = `translateY(${shift}px)`;
  }

  scrolled() {
    if (Math.abs(this.scroller.scrollTop - this.setTop) < 1) return;
    this.share = this.shareNow();
    if (this.source) this.follow(this.share === 1);
    this.plan();
  }

  shareNow() {
    const room = this.scroller.scrollHeight - this.scroller.clientHeight;
    if (room <= 0) return 0;
    // Browsers round: a pixel short of the end is the end.
    return room - this.scroller.scrollTop < 1.5 ? 1 : this.scroller.scrollTop / room;
  }

  // ---- where to look
  goTo(number) {
    this.follow(false);
    this.wanted = number;
    this.plan();
  }

  follow(on) {
    this.following = on;
    const button = this.root.querySelector("[data-follow]");
    if (button) {
      button.setAttribute("aria-pressed", String(on));
      button.querySelector("span").textContent = on ? "Following" : "Follow";
    }
    if (on) this.plan();
  }

  // ---- lines as they come
  listen() {
    const source = new EventSource(`${this.root.dataset.log}/stream?start=${this.lines.end}`);
    this.source = source;
    source.addEventListener("lines", (event) => {
      const fresh = JSON.parse(event.data).filter((line) => this.attempt === null || line[3] === this.attempt);
      this.lines.append(fresh);
      this.plan();
    });
    source.addEventListener("status", () => {
      this.hush();
      htmx.trigger("#summary", "refresh");
    });
    source.addEventListener("error", () => {
      lost();
      if (source.readyState !== EventSource.CLOSED) return;
      this.hush();
      setTimeout(() => this.listen(), 3000);
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  }

  hush() {
    this.source?.close();
    this.source = null;
  }

  // ---- the bar above
  controls() {
    const on = (selector, act) => this.root.querySelector(selector)?.addEventListener("click", act);
    const toggle = (selector, name) => on(selector, (event) => {
      const pressed = this.scroller.classList.toggle(name);
      this.estimated = false;
      event.currentTarget.setAttribute("aria-pressed", String(pressed));
      this.plan();
    });
    on("[data-follow]", () => this.follow(!this.following));
    toggle("[data-wrap]", "wraps");
    toggle("[data-times]", "with-times");
    on("[data-first-error]", () => this.firstError());
    on("[data-hit-next]", () => this.step(1));
    on("[data-hit-previous]", () => this.step(-1));
    const field = this.root.querySelector("[data-log-search]");
    let timer = 0;
    field.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.search(field.value), 300);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      if (field.value !== this.words) this.search(field.value);
      else this.step(event.shiftKey ? -1 : 1);
    });
  }

  say(text) {
    this.status.textContent = text;
  }

  async ask(path, parameters = {}) {
    const query = new URLSearchParams(parameters);
    if (this.attempt !== null) query.set("attempt", String(this.attempt));
    const answer = await fetch(`${this.root.dataset.log}/${path}?${query}`);
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  }

  async search(words) {
    this.words = words;
    this.hits = [];
    this.hit = -1;
    this.hitsMore = false;
    this.plan();
    if (!words) return this.say("");
    this.say("Searching …");
    try {
      const found = await this.ask("search", { q: words });
      if (this.words !== words) return undefined;
      this.hits = found.numbers;
      this.hitsMore = found.more;
      if (this.hits.length === 0) return this.say("No hits");
      return this.step(1);
    } catch {
      lost();
      return this.say("The search did not come through; try again.");
    }
  }

  step(by) {
    if (this.hits.length === 0) return;
    this.hit = (this.hit + by + this.hits.length) % this.hits.length;
    this.say(`${this.hit + 1} of ${this.hits.length}${this.hitsMore ? "+" : ""} hits`);
    this.goTo(this.hits[this.hit]);
  }

  async firstError() {
    this.say("Looking …");
    try {
      const { number } = await this.ask("first-error");
      if (number === null) return this.say("Nothing looks like an error.");
      this.say(`First error: line ${number + 1}`);
      this.hits = [number];
      this.hit = 0;
      return this.goTo(number);
    } catch {
      lost();
      return this.say("That did not come through; try again.");
    }
  }
}

for (const root of document.querySelectorAll("[data-log]")) new Viewer(root);
