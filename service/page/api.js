// The service's interface, as far as the page uses it. Every failure is an Error whose message can be shown.

let key = "";

/** The service asks for an API key, or does not know the one it was sent. */
export class KeyNeeded extends Error {}

export function useKey(text) {
  key = text;
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

/** The default model's card. */
export async function card() {
  const { data } = await ask("GET", "v1/models");
  return data[0].card;
}

/** How many images the default model searches. */
export async function indexed() {
  const { model, spaces } = await ask("GET", "v1/index");
  return spaces.find((space) => space.model === model)?.items ?? 0;
}

/** What each patch of an image contributes to its code: {values, mean}. */
export async function mapOf(image) {
  const { data } = await ask("POST", "v1/mi-maps?kind=contribution", image);
  return data[0];
}

/** The nearest items, each with the map of which patches of the image speak for it. */
export async function neighboursOf(image, count) {
  const { neighbours } = await ask("POST", `v1/neighbours?k=${count}&explain=true`, image);
  return neighbours;
}

/** Store an image under an id. */
export function store(id, image) {
  const form = new FormData();
  form.append("image", image);
  const path = id.split("/").map(encodeURIComponent).join("/");
  return ask("PUT", `v1/items/${path}`, form);
}

/** The sample images: items as `storeAll` takes them, each with a label in its metadata. */
export async function samples() {
  const text = await (await send("GET", "page/samples.ndjson")).text();
  return text.trim().split("\n").map((line) => JSON.parse(line));
}

/** Whether an item is stored whose id begins so. */
export async function has(prefix) {
  const { items } = await ask("GET", `v1/items?limit=1&prefix=${encodeURIComponent(prefix)}`);
  return items.length > 0;
}

/** Remove the items whose ids begin so; how many there were. */
export async function remove(prefix) {
  const { deleted } = await ask("DELETE", `v1/items?prefix=${encodeURIComponent(prefix)}`);
  return deleted;
}

/** Store many items {id, image in base64, metadata} in one request; how many of them are stored. */
export async function storeAll(items) {
  const body = items.map((item) => JSON.stringify(item)).join("\n");
  const answer = await (await send("POST", "v1/items", body, "application/x-ndjson")).text();
  const { summary } = JSON.parse(answer.trim().split("\n").pop());
  return summary.ok;
}

/** The picture of a stored item, as a Blob. */
export async function thumbnail(id) {
  return (await send("GET", `v1/thumbnails/${id.split("/").map(encodeURIComponent).join("/")}`)).blob();
}
