// Order by drag: what is held follows the pointer, and the others make room.

const EDGE = 40; // pixels of the view where it scrolls on
const NUDGE = 10;
const BEGINS = 4; // pixels: less is a click

/**
 * Lets the children of a node be dragged up and down. Only the others are moved in the document, so the one that is held
 * keeps the pointer.
 * @param {HTMLElement} node
 * @param {{handle: string, moved: (from: number, to: number) => void}} asked handle: a selector; from: from 0
 */
export function sortable(node, { handle, moved }) {
  node.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !event.target.closest(handle)) return;
    event.preventDefault();
    const all = () => [...node.children];
    const held = all().find((one) => one.contains(event.target));
    const from = all().indexOf(held);
    let origin = event.clientY;
    let dragging = false;
    follow(event.pointerId, {
      move(at) {
        if (!dragging && Math.abs(at.clientY - origin) < BEGINS) return;
        dragging = true;
        held.classList.add("held");
        origin -= nudged(node, at.clientY);
        const order = all();
        const index = order.indexOf(held);
        const [before, after] = [order[index - 1], order[index + 1]];
        if (before && at.clientY < middle(before)) {
          origin -= before.offsetHeight;
          held.after(before);
        } else if (after && at.clientY > middle(after)) {
          origin += after.offsetHeight;
          held.before(after);
        }
        let by = at.clientY - origin;
        if (!held.previousElementSibling) by = Math.max(by, 0);
        if (!held.nextElementSibling) by = Math.min(by, 0); // further, and there would be ever more to scroll
        held.style.transform = `translateY(${by}px)`;
      },
      end() {
        held.classList.remove("held");
        held.style.transform = "";
        const to = all().indexOf(held);
        if (to !== from) moved(from, to);
      },
    });
  });
}

/** Follows a pointer until it is let go. end(true): somebody took it back. */
export function follow(pointer, { move, end }) {
  const mine = (event) => event.pointerId === pointer;
  const moves = (event) => mine(event) && move(event);
  const ends = (event) => {
    if (!mine(event)) return;
    for (const [name, heard] of heardNames) window.removeEventListener(name, heard);
    end(event.type === "pointercancel");
  };
  const heardNames = [["pointermove", moves], ["pointerup", ends], ["pointercancel", ends]];
  for (const [name, heard] of heardNames) window.addEventListener(name, heard);
}

/** Scrolls on where the pointer is at an edge. Returns by how much, in pixels. */
function nudged(node, y) {
  let view = node.parentElement;
  while (view.parentElement && (view.scrollHeight <= view.clientHeight || getComputedStyle(view).overflowY === "visible")) view = view.parentElement;
  const { top, bottom } = view.getBoundingClientRect();
  const before = view.scrollTop;
  if (y < top + EDGE) view.scrollTop -= NUDGE;
  else if (y > bottom - EDGE) view.scrollTop += NUDGE;
  return view.scrollTop - before;
}

const middle = (node) => {
  const { top, height } = node.getBoundingClientRect();
  return top + height / 2;
};
