// One line of a log as a row: number, time, text with ANSI colours and marked hits.
import Anser from "anser";

const LONGEST = 20_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hour12: false });
const ESCAPES = /\u001b\[[0-9;?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[@-Z\\-_]|[\u0000-\u0008\u000b-\u001a\u001c-\u001f]/g;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function paint(line, number, words, isHit) {
  const row = element("div", "log-row");
  row.append(element("span", "log-number", String(number + 1)));
  if (!line) {
    row.append(element("span", "log-text soft", "…"));
    return row;
  }
  const [, millis, stream, , text, flag] = line;
  row.classList.add(`log-${stream}`);
  if (isHit) row.classList.add("log-hit");
  const time = element("time", "log-time", clock.format(millis));
  time.dateTime = new Date(millis).toISOString();
  time.title = time.dateTime;
  row.append(time);
  const body = element("span", "log-text");
  if (stream === "stderr") body.append(element("span", "visually-hidden", "stderr: "));
  body.append(...coloured(text.slice(0, LONGEST), words));
  if (text.length > LONGEST) body.append(element("span", "soft", ` … ${text.length - LONGEST} more characters: download the log`));
  if (flag === 1 && stream !== "cut") body.append(element("span", "soft", " ↩"));
  row.append(body);
  return row;
}

function coloured(text, words) {
  if (!text.includes("\u001b")) return marked(clean(text), words);
  return Anser.ansiToJson(text, { use_classes: true, remove_empty: true }).flatMap((part) => {
    const content = clean(part.content);
    if (!content) return [];
    const span = element("span", classes(part));
    // Exact colours are set as properties: an attribute would be an inline style.
    const ink = exact(part.fg, part.fg_truecolor);
    const ground = exact(part.bg, part.bg_truecolor);
    if (ink) span.style.color = ink;
    if (ground) span.style.backgroundColor = ground;
    span.append(...marked(content, words));
    return [span];
  });
}

// The colours that have no class: 24 bits, and the 6 x 6 x 6 cube and greys of 256.
function exact(name, truecolor) {
  if (name === "ansi-truecolor") return `rgb(${truecolor})`;
  const place = Number(/^ansi-palette-(\d+)$/.exec(name ?? "")?.[1] ?? 0);
  if (place >= 232) return `rgb(${Array(3).fill(8 + (place - 232) * 10)})`;
  if (place < 16) return null;
  const level = (value) => (value ? 55 + value * 40 : 0);
  return `rgb(${[Math.floor((place - 16) / 36), Math.floor((place - 16) / 6) % 6, (place - 16) % 6].map(level)})`;
}

function classes(part) {
  const names = (part.decorations ?? []).map((decoration) => `ansi-${decoration}`);
  if (part.fg && part.fg !== "ansi-truecolor") names.push(part.fg.replace(/ /g, "-"));
  if (part.bg && part.bg !== "ansi-truecolor") names.push(`bg-${part.bg.replace(/ /g, "-")}`);
  return names.join(" ");
}

// A progress bar that rewrote its line shows its last state; what else moves the cursor means nothing here.
function clean(text) {
  const last = text.replace(/\r+$/, "");
  return last.slice(last.lastIndexOf("\r") + 1).replace(ESCAPES, "");
}

function marked(text, words) {
  if (!words) return [text];
  const parts = [];
  const lower = text.toLowerCase();
  const needle = words.toLowerCase();
  let from = 0;
  for (let at = lower.indexOf(needle); at >= 0 && parts.length < 200; at = lower.indexOf(needle, from)) {
    parts.push(text.slice(from, at), element("mark", "", text.slice(at, at + needle.length)));
    from = at + needle.length;
  }
  parts.push(text.slice(from));
  return parts;
}
