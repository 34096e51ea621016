// On every page. Each file is one behaviour and says what it looks for in the page.
import htmx from "htmx.org";
import "./clock.js";
import "./connection.js";
import "./dialogs.js";
import "./frame.js";
import "./keys.js";
import "./lists.js";

// Nothing is evaluated and no style is injected: the Content-Security-Policy forbids both.
Object.assign(htmx.config, {
  allowEval: false,
  includeIndicatorStyles: false,
  selfRequestsOnly: true,
  historyCacheSize: 0,
  scrollIntoViewOnBoost: false,
  defaultSettleDelay: 0,
  responseHandling: [
    { code: "204", swap: false },
    { code: "[23]..", swap: true },
    // The server says where its notice goes (HX-Retarget).
    { code: "[45]..", swap: true, error: true },
  ],
});
