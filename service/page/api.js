// The service's interface, as far as the page uses it. Every failure is an Error whose message can be shown.

let key = "";
let model = "";

/** The service asks for an API key, or does not know the one it was sent. */
export class KeyNeeded extends Error {}

export function useKey(text) {
  key = text;
}

/** Whether requests carry a key. */
export function hasKey() {
  return key !== "";
}

/** Ask this model from now on; an empty name is the default one. */
export function useModel(id) {
  model = id;
}

/** What a search by an image asks for beside its neighbours. */
const SEARCH = { k: 12, explain: true, maps: "contribution,information,contrast", embedding: true };

/** Path and query of a search by an image: the one request that a picture is sent in. */
export function searchPath() {
  return to("v1/neighbours", SEARCH);
}

/** A path with parameters, those that are empty left out, and the chosen model. */
function to(path, parameters = {}) {
  const given = Object.entries({ ...parameters, model }).filter(([, value]) => value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

function itemPath(route, id) {
  return to(`v1/${route}/${id.split("/").map(encodeURIComponent).join("/")}`);
}

async function send(method, path, body, type) {
  const headers = key ? { "X-API-Key": key } : {};
  if (type) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, body });
  } catch {
    throw new Error("The service cannot be reached; see whether it runs, and try again.");
  }
  if (response.ok) return response;
  const { detail } = await response.json();
  throw response.status === 401 ? new KeyNeeded(detail) : new Error(detail);
}

async function ask(method, path, body) {
  // A file has the type that its name suggests; what it is, the service sees for itself.
  const type = body instanceof Blob ? "application/octet-stream" : undefined;
  return (await send(method, path, body, type)).json();
}

/** The models that answer, the default one first: {id, card}. */
export async function models() {
  const { data } = await ask("GET", "v1/models");
  return data.filter((one) => one.card);
}

/** How many images the chosen model searches. */
export async function indexed() {
  const index = await ask("GET", to("v1/index"));
  return index.spaces.find((space) => space.model === index.model)?.items ?? 0;
}

/** A sample of the index on a plane: {model, items, sampled, mean, axes, shares, points}. */
export function plane() {
  return ask("GET", to("v1/index/plane"));
}

/** The nearest items of an image, each explained; its maps, its embedding and its size. */
export function search(image) {
  return ask("POST", searchPath(), image);
}

/** Store an image under an id. */
export function store(id, image) {
  const form = new FormData();
  form.append("image", image);
  return ask("PUT", itemPath("items", id), form);
}

/** The sample images: items as `storeAll` takes them, each with a label in its metadata. */
export async function samples() {
  const text = await (await send("GET", "page/samples.ndjson")).text();
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

/** Whether an item is stored whose id begins so. */
export async function has(prefix) {
  const { items } = await ask("GET", to("v1/items", { limit: 1, prefix }));
  return items.length > 0;
}

/** A page of stored items: {items, next}, by a prefix of ids and a filter, behind an id. */
export function items({ prefix, filter, after, limit }) {
  return ask("GET", to("v1/items", { prefix, filter, after, limit }));
}

/** Remove one item. */
export async function removeItem(id) {
  await send("DELETE", itemPath("items", id));
}

/** Remove the items whose ids begin so; how many there were. */
export async function removeAll(prefix) {
  const { deleted } = await ask("DELETE", to("v1/items", { prefix }));
  return deleted;
}

/** Store many items {id, image in base64, metadata} in one request; how many of them are stored. */
export async function storeAll(items) {
  const body = items.map((item) => JSON.stringify(item)).join("\n");
  const answer = await (await send("POST", to("v1/items"), body, "application/x-ndjson")).text();
  const { summary } = JSON.parse(answer.trim().split("\n").pop());
  return summary.ok;
}

/** The picture of a stored item, as a Blob. */
export async function thumbnail(id) {
  return (await send("GET", itemPath("thumbnails", id))).blob();
}
