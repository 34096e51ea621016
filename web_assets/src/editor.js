// The form of a job: the script's editor, the schedule in words, an uploaded file.
import { indentWithTab, history, historyKeymap, defaultKeymap } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { HighlightStyle, StreamLanguage, bracketMatching, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { shell } from "@codemirror/legacy-modes/mode/shell";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, keymap, lineNumbers, placeholder } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import "./builder.js";

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword, tags.moduleKeyword, tags.operatorKeyword], color: "light-dark(#8a2aa5, #d19af5)" },
  { tag: [tags.string, tags.special(tags.string)], color: "light-dark(#19702f, #8ad69b)" },
  { tag: [tags.number, tags.bool, tags.null], color: "light-dark(#a03c00, #f0a96b)" },
  { tag: tags.comment, color: "light-dark(#5d6778, #8794aa)", fontStyle: "italic" },
  { tag: [tags.function(tags.variableName), tags.function(tags.definition(tags.variableName)), tags.standard(tags.variableName)], color: "light-dark(#1a55b8, #82b4ff)" },
  { tag: [tags.className, tags.definition(tags.className)], color: "light-dark(#866000, #edca6a)" },
  { tag: tags.invalid, color: "light-dark(#b81f2c, #ff9494)" },
]);

const look = EditorView.theme({
  "&": { fontSize: "0.9rem", color: "var(--ink)", backgroundColor: "var(--surface)", height: "100%" },
  ".cm-content": { fontFamily: "var(--mono)", caretColor: "var(--ink)", padding: "0.6rem 0" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--ink-soft)", border: "none", fontFamily: "var(--mono)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--accent) 7%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--quiet-tint)", color: "var(--ink)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "color-mix(in srgb, var(--accent) 25%, transparent) !important" },
  ".cm-scroller": { maxHeight: "32rem", overflow: "auto" },
  ".cm-panels": { backgroundColor: "var(--sunken)", color: "var(--ink)" },
  ".cm-placeholder": { color: "var(--ink-soft)" },
});

const STARTS = {
  python: "print(\"Hello\")\n",
  shell: "#!/bin/bash\nset -euo pipefail\n\necho \"Hello\"\n",
};

function languageOf(type) {
  return type === "shell" ? StreamLanguage.define(shell) : [python(), indentUnit.of("    ")];
}

function mount(holder) {
  const area = holder.querySelector("textarea");
  const label = document.querySelector(`label[for="${area.id}"]`);
  const host = document.createElement("div");
  host.className = "editor-host";
  holder.prepend(host);
  // A shadow tree takes the editor's styles as adopted sheets: the policy against inline styles stays whole.
  const root = host.attachShadow({ mode: "open" });
  const language = new Compartment();
  const type = () => document.querySelector("input[name=type]:checked")?.value ?? holder.dataset.editor;
  const readOnly = area.readOnly;
  let following = false;
  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(), history(), drawSelection(), bracketMatching(), indentOnInput(), search({ top: true }),
        highlightSelectionMatches(), readOnly ? [] : highlightActiveLine(), syntaxHighlighting(colours), look,
        language.of(languageOf(type())),
        keymap.of([
          { key: "Mod-Enter", run: () => { document.querySelector("[data-save]")?.click(); return true; } },
          ...defaultKeymap, ...historyKeymap, ...searchKeymap, indentWithTab,
        ]),
        placeholder("Type or paste the script here, or upload a file below."),
        EditorState.readOnly.of(readOnly),
        EditorView.contentAttributes.of({ "aria-label": label?.textContent.trim() ?? "Script", "aria-multiline": "true" }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          following = true;
          area.value = view.state.doc.toString();
          area.dispatchEvent(new Event("change", { bubbles: true }));
          following = false;
        }),
      ],
    }),
  });
  document.fonts.ready.then(() => view.requestMeasure());
  // The field itself stays in the form, behind the editor, for whoever fills it directly.
  area.classList.add("behind");
  area.tabIndex = -1;
  area.addEventListener("input", () => {
    if (following || area.value === view.state.doc.toString()) return;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: area.value } });
  });
  label?.addEventListener("click", (event) => { event.preventDefault(); view.focus(); });
  for (const radio of document.querySelectorAll("input[name=type]")) {
    radio.addEventListener("change", () => {
      const other = Object.values(STARTS).includes(area.value) || area.value.trim() === "";
      view.dispatch({
        effects: language.reconfigure(languageOf(type())),
        changes: other ? { from: 0, to: view.state.doc.length, insert: STARTS[type()] ?? "" } : [],
      });
    });
  }
  if (!readOnly && area.value.trim() === "" && !document.querySelector("[aria-invalid]")) {
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: STARTS[type()] ?? "" } });
  }
  document.getElementById("script_file")?.addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: await file.text() } });
    const name = document.getElementById("name");
    if (name && !name.value) name.value = file.name.replace(/\.\w+$/, "").replace(/[_-]+/g, " ");
    const kind = /\.(sh|bash)$/.test(file.name) ? "shell" : /\.py$/.test(file.name) ? "python" : null;
    const radio = kind && document.querySelector(`input[name=type][value=${kind}]`);
    if (radio && !radio.checked) radio.click();
    // Its text is in the editor now, where it may be changed before it is sent.
    event.target.value = "";
  });
}

for (const holder of document.querySelectorAll("[data-editor]")) mount(holder);

// What was typed is not lost by a slip of the finger.
const form = document.getElementById("job-form");
if (form) {
  let changed = false;
  form.addEventListener("input", () => { changed = true; });
  form.addEventListener("submit", () => { changed = false; });
  addEventListener("beforeunload", (event) => { if (changed) event.preventDefault(); });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.querySelector("[data-save]").click();
  });
  form.querySelector("[aria-invalid=true]")?.focus();
}
