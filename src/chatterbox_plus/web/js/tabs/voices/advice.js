// How good a recording is as a voice, in the server's words.
import { h, icon } from "../../dom.js";
import { has, t } from "../../text.js";

/** A rating, in a word and a colour; nothing where nothing was measured. */
export const rated = (rating) => rating && has(`voices.ratings.${rating}`) &&
  h("span", { class: `rated ${rating}` }, t(`voices.ratings.${rating}`));

/** @param {{rating: string, score: number, advice: string[]}} quality */
export function advised(quality) {
  const words = quality.advice.length ? quality.advice : [t("voices.no_advice")];
  return h("div", { class: "stack advice" },
    h("p", { class: "row small" }, rated(quality.rating), h("span", { class: "muted number" }, t("voices.score", { n: quality.score }))),
    h("ul", { class: "stack tight" }, words.map((one) => h("li", { class: `note${quality.advice.length ? "" : " good"}` }, icon(quality.advice.length ? "help" : "check", true), h("span", {}, one)))));
}
