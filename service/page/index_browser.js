// The index, page by page: found by id or metadata, with pictures, and items to delete.

import { answerItem } from "./answer.js";
import * as api from "./api.js";
import { confirmed } from "./confirm.js";
import { element, idText, part } from "./elements.js";
import { fail, tell } from "./messages.js";
import { filterOf } from "./metadata_filter.js";
import { searchAgain } from "./samples.js";
import { shown } from "./shown.js";
import { showThumbnail } from "./thumbnails.js";

const ITEMS = 24; // on a page

// What is asked for, the ends of the pages before this one, and the end of this one: null for the last.
const listed = { prefix: "", filter: "", before: [], after: "", next: null };

let asked = 0; // pages, so that a late answer to an earlier question is not shown

async function list() {
  const turn = ++asked;
  const { prefix, filter, before, after } = listed;
  const { items, next } = await api.items({ prefix, filter, after, limit: ITEMS });
  if (turn !== asked) return;
  listed.next = next;
  part("items").replaceChildren(...items.map(entry));
  const first = before.length * ITEMS + 1;
  // How many pass a filter is not counted; how many there are in all is known.
  const all = prefix || filter ? "" : ` of ${shown.items.toLocaleString("en")}`;
  part("found").textContent = items.length
    ? `Items ${first} to ${first + items.length - 1}${all || (next ? "" : ", the last")}.`
    : "No item is found.";
  part("earlier").disabled = before.length === 0;
  part("later").disabled = next === null;
  part("pages").hidden = before.length === 0 && next === null;
  part("delete-all").hidden = !prefix || filter !== "" || items.length === 0;
  part("delete-all").textContent = `Delete all whose ids begin with “${prefix}”`;
}

function entry({ id, metadata, width, height, format }) {
  const image = element("img", { alt: "" });
  showThumbnail(image, width === null ? null : id);
  const known = Object.entries(metadata).map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`);
  const size = width === null ? "vector alone" : `${width} × ${height}, ${format}`;
  const search = element("button", { type: "button", className: "search" }, image, element("b", {}, idText(id)));
  search.setAttribute("aria-label", `Neighbours of ${id}`);
  search.addEventListener("click", () => answerItem({ id, width, height }));
  const button = element("button", { type: "button", className: "button", textContent: "Delete" });
  button.setAttribute("aria-label", `Delete ${id}`);
  button.addEventListener("click", () => remove(`Delete ${id} from the index?`, () => api.removeItem(id), `${id} deleted.`));
  const lines = [size, ...known].map((textContent) => element("span", { className: "faint", textContent }));
  return element("li", {}, search, ...lines, button);
}

/** Delete after a question; `sentence` says what was done, with the count that the service answers. */
async function remove(question, change, sentence) {
  if (!(await confirmed(question))) return;
  try {
    const count = await change();
    await searchAgain();
    tell(count === undefined ? sentence : `${count} ${sentence}`);
  } catch (error) {
    fail(error);
  }
}

/** List anew where the list is open; what fails is said. */
async function show() {
  if (!part("browser").open) return;
  try {
    await list();
  } catch (error) {
    fail(error);
  }
}

function fromTheStart() {
  Object.assign(listed, { before: [], after: "" });
  return show();
}

part("browser").addEventListener("toggle", fromTheStart);
document.addEventListener("index-changed", fromTheStart);
part("find").addEventListener("submit", (event) => {
  event.preventDefault();
  try {
    const filter = filterOf(part("find-metadata").value);
    Object.assign(listed, { prefix: part("find-id").value.trim(), filter });
    tell("");
    fromTheStart();
  } catch (error) {
    fail(error);
  }
});
part("later").addEventListener("click", () => {
  listed.before.push(listed.after);
  listed.after = listed.next;
  show();
});
part("earlier").addEventListener("click", () => {
  listed.after = listed.before.pop();
  show();
});
part("delete-all").addEventListener("click", () => {
  const { prefix } = listed;
  remove(`Delete all items whose ids begin with “${prefix}”?`, () => api.removeAll(prefix), "items deleted.");
});
