/**
 * What is served: the live version, and why it may be trusted.
 */

import { json } from "./api.js";
import { el, find, icon } from "./dom.js";
import { date, number, percent, t } from "./strings.js";

const chip = find("#chip");
const line = find("#live-line");
const body = find("#live-body");
const SIGNS = { pass: "holds", warn: "warn", fail: "broken" };

let release = null;

/** @returns {Promise<any>} the live release, drawn @throws {Problem} */
export async function loadRelease() {
  release = await json("/releases/current");
  drawRelease();
  return release;
}

/** The version that is drawn, null before the first. */
export const drawnVersion = () => release?.version ?? null;

/** Nothing is known of the live version: no key, or nothing live. */
export function forgetRelease() {
  release = null;
  drawRelease();
}

/** Draw the release again, in the language of now. */
export function drawRelease() {
  chip.hidden = !release;
  find("#live").hidden = !release;
  if (!release) return;
  const { version, ledger } = release;
  const count = tally(release.verdicts);
  const sound = count.failed === 0;
  chip.replaceChildren(icon(sound ? "holds" : "broken"), el("span", {}, t("chip", { version, ...count })));
  chip.className = sound ? "chip good" : "chip bad";
  line.textContent = t("live_line", { version, date: date(release.decided_at), ...count });
  body.replaceChildren(
    el("dl", { class: "facts" },
      pair(t("version"), version),
      pair(t("released"), date(release.decided_at)),
      release.replaced ? pair(t("replaced"), release.replaced) : "",
      pair(t("documents"), number(release.documents)),
      ledger ? pair(t("pages"), ledgerLine(ledger)) : "",
      ledger ? pair(t("coverage"), percent(ledger.coverage)) : "",
      pair(t("points"), number(release.points)),
      pair(t("model"), release.configuration?.model ?? "–"),
      pair(t("verified"), verification(release.verification)),
      pair(t("record"), el("code", {}, release.record_sha256 ?? "–"))),
    verdictList("verdicts", release.verdicts),
    release.canaries?.length ? verdictList("canaries", release.canaries) : "",
    release.switched_off?.length
      ? el("p", { class: "unsure" }, icon("warn"), t("switched_off", { names: release.switched_off.join(", ") }))
      : "",
  );
}

const pair = (name, ...values) => el("div", {}, el("dt", {}, name), el("dd", {}, ...values));

function tally(verdicts) {
  const failed = verdicts.filter((verdict) => verdict.outcome === "fail").length;
  return { failed, passed: verdicts.length - failed, n: verdicts.length };
}

function ledgerLine(ledger) {
  const sum = ledger.indexed + ledger.blank + ledger.quarantined;
  const adds = sum === ledger.pages;
  const verdict = el("span", { class: adds ? "good" : "bad" }, icon(adds ? "holds" : "broken"), t(adds ? "adds_up" : "adds_not"));
  return el("span", {}, t("ledger", ledger), " ", verdict);
}

function verification(last) {
  if (!last) return t("verified_never");
  return el("span", { class: last.passed ? "good" : "bad" }, icon(last.passed ? "holds" : "broken"),
    t(last.passed ? "verified_ok" : "verified_bad", { date: date(last.verified_at), version: last.version }));
}

function verdictList(name, verdicts) {
  const rows = verdicts.map((verdict) =>
    el("li", { class: { pass: "good", fail: "bad" }[verdict.outcome] ?? "unsure" },
      icon(SIGNS[verdict.outcome] ?? "warn"), el("b", {}, t(verdict.outcome)),
      el("code", {}, verdict.name), el("span", { class: "message", lang: "en" }, verdict.message)));
  return el("details", { class: "verdicts" },
    el("summary", {}, t(name, tally(verdicts))), el("ol", { class: "links" }, ...rows));
}
