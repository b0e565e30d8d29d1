// Elements without markup: what comes from a server or a person is only ever text.

const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "open", "indeterminate", "files"]);
const SVG = "http://www.w3.org/2000/svg";
let ids = 0;

/**
 * An element. `onclick: f` listens, `data: {}` sets data attributes, null and false leave an attribute out.
 * @param {string} tag
 * @param {Record<string, any>} [props]
 * @param {...(Node|string|number|null|false|undefined|Array<any>)} children
 * @returns {any}
 */
export function h(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  const late = [];
  for (const [name, value] of Object.entries(props)) {
    if (PROPERTIES.has(name)) late.push([name, value]);
    else if (value === undefined || value === null || value === false) continue;
    else if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  put(node, ...children);
  for (const [name, value] of late) if (value !== undefined) node[name] = value ?? ""; // a select's value needs its options
  return node;
}

/** Puts children at the end of a node. */
export function put(node, ...children) {
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Replaces all that is in a node. */
export function fill(node, ...children) {
  node.replaceChildren();
  return put(node, ...children);
}

/** @param {string} name of a symbol in icons.svg. Decoration: whoever uses it says in words what it means. */
export function icon(name, small = false) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", small ? "icon small-icon" : "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `/assets/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** An id nobody else has, to tie labels to fields. */
export const newId = () => `n${++ids}`;

/** Calls f once nothing has come for some milliseconds. */
export function debounced(f, ms = 250) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => f(...given), ms);
  };
}

/** Loads stylesheets, by name below /assets/style/, before anything is drawn with them. */
export function stylesheets(names) {
  return Promise.all(
    names.map((name) => {
      const href = `/assets/style/${name}.css`;
      if (document.querySelector(`link[rel="stylesheet"][href="${href}"]`)) return null;
      return new Promise((loaded, failed) => {
        document.head.append(h("link", { rel: "stylesheet", href, onload: loaded, onerror: failed }));
      });
    }),
  );
}
