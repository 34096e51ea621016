// The lines of a log: which are known, and how the others are fetched. A line's number never changes; where the
// platform kept only both ends of a very long log, one line stands for the numbers in between.
const WINDOW = 500;
const MOST_WINDOWS = 80;

export class Lines {
  constructor(address, first, end, changed) {
    this.address = address;
    this.first = first;
    this.end = end;
    this.changed = changed;
    this.windows = new Map();
    this.asked = new Set();
    this.gap = null;
  }

  get hidden() {
    return this.gap ? this.gap.to - this.gap.from : 0;
  }

  get count() {
    return Math.max(this.end - this.first - this.hidden, 0);
  }

  numberAt(index) {
    const number = this.first + index;
    return this.gap && number >= this.gap.from ? number + this.hidden : number;
  }

  indexOf(number) {
    const index = number - this.first;
    return this.gap && number >= this.gap.to ? index - this.hidden : index;
  }

  at(index) {
    const number = this.numberAt(index);
    return this.windows.get(Math.floor(number / WINDOW))?.get(number);
  }

  take(line) {
    const [number, , , , , flag] = line;
    const key = Math.floor(number / WINDOW);
    if (!this.windows.has(key)) this.windows.set(key, new Map());
    this.windows.get(key).set(number, line);
    if (line[2] === "cut") this.gap = { from: number - flag + 1, to: number };
  }

  append(lines) {
    for (const line of lines) {
      if (line[0] < this.end && this.end > this.first) {
        this.take(line);
        continue;
      }
      if (this.end === 0 && this.windows.size === 0) this.first = line[0];
      this.take(line);
      this.end = line[0] + 1;
    }
    this.forget(Math.floor(this.end / WINDOW));
  }

  // See to it that the rows of a range are there soon.
  want(from, to) {
    const wanted = new Set();
    for (let index = from; index < to; index += 1) {
      if (!this.at(index)) wanted.add(Math.floor(this.numberAt(index) / WINDOW));
    }
    clearTimeout(this.timer);
    if (wanted.size) this.timer = setTimeout(() => { for (const key of wanted) this.fetch(key); }, 40);
  }

  async fetch(key) {
    if (this.asked.has(key)) return;
    this.asked.add(key);
    try {
      const answer = await fetch(`${this.address}/lines?start=${key * WINDOW}&limit=${WINDOW}`);
      if (!answer.ok) throw new Error(String(answer.status));
      for (const line of await answer.json()) this.take(line);
      this.forget(key);
      this.changed();
    } catch {
      // The connection's own bar says so; the rows are asked for again when they are drawn.
      setTimeout(() => this.changed(), 2000);
    } finally {
      setTimeout(() => this.asked.delete(key), 1000);
    }
  }

  // A long log does not fill the browser's memory: windows far from this one go.
  forget(key) {
    if (this.windows.size <= MOST_WINDOWS) return;
    const far = [...this.windows.keys()].sort((a, b) => Math.abs(b - key) - Math.abs(a - key));
    for (const other of far.slice(0, this.windows.size - MOST_WINDOWS)) this.windows.delete(other);
  }
}
