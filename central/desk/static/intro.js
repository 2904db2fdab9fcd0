// What a newcomer has to know: what this page is for, what policy does by itself, how long a day is.

import { $, say } from "./dom.js";
import { money, span, units } from "./format.js";
import { on, state } from "./state.js";

const SEEN = "stockhelm-intro-seen";
const DAY_S = 86_400;

/** Show the line for newcomers until it is closed, and the rules for good. */
export function startIntro() {
  $("intro").hidden = localStorage.getItem(SEEN) === "yes";
  $("intro-close").addEventListener("click", () => {
    localStorage.setItem(SEEN, "yes");
    $("intro").hidden = true;
    $("proposals").focus();
  });
  on(["rules"], () => {
    const rules = state.tables.rules.get("rules");
    $("rules").hidden = !rules;
    if (rules) say($("rules"), rulesText(rules));
  });
}

function rulesText({
  day_s: dayS, auto_units_max: moved, auto_buy_cents_max: cents,
  auto_adjust_units_max: adjusted, auto_adjust_cents_max: worth,
}) {
  const policy = `Policy itself approves moves of up to ${units(moved)},`
    + ` purchases of up to ${money(cents)}`
    + ` and sure counts that change up to ${units(adjusted)} worth ${money(worth)}.`;
  return dayS === DAY_S ? policy : `${policy} A day (d) lasts ${span(dayS * 1000)} on this site.`;
}
