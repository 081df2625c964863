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

const HITS = 12; // of a search
/** What a search by a picture asks for beside its neighbours. */
const MAPPED = { explain: true, maps: "contribution,information,contrast", embedding: true };
const NDJSON = "application/x-ndjson";

/**
 * The request of a search: its path with the query, and its body where that is JSON.
 *
 * A source is a picture {file}, or an item of the index {id}; `bare` for one without a picture. An item finds
 * itself, so one more is asked for. With a region, [x, y, width, height] in the source's pixels, upright, it is a
 * search by that part.
 */
export function searchRequest({ id, bare }, region = null) {
  if (id === undefined) {
    const asked = region ? { region: JSON.stringify(region) } : MAPPED;
    return { path: to("v1/neighbours", { k: HITS, ...asked }), json: null };
  }
  const asked = region ? { region } : bare ? { embedding: true } : MAPPED;
  return { path: "v1/neighbours", json: { id, k: HITS + 1, ...asked, ...(model && { model }) } };
}

/** A path with parameters, those that are empty left out, and the chosen model. */
function to(path, parameters = {}) {
  const given = Object.entries({ ...parameters, model }).filter(([, value]) => value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

function itemPath(route, id) {
  return to(`v1/${route}/${id.split("/").map(encodeURIComponent).join("/")}`);
}

async function send(method, path, body, type, accept) {
  const headers = key ? { "X-API-Key": key } : {};
  if (type) headers["Content-Type"] = type;
  if (accept) headers.Accept = accept;
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

async function askJson(path, value) {
  return (await send("POST", path, JSON.stringify(value), "application/json")).json();
}

/** The models that answer, the default one first: {id, card}. */
export async function models() {
  const { data } = await ask("GET", "v1/models");
  return data.filter((one) => one.card);
}

/** What the chosen model searches: how many items, and whether parts of images are found. */
export async function indexed() {
  const index = await ask("GET", to("v1/index"));
  const space = index.spaces.find((one) => one.model === index.model);
  return { items: space?.items ?? 0, regions: Boolean(space?.cells) };
}

/** A sample of the index on a plane: {model, items, sampled, mean, axes, shares, points}. */
export function plane() {
  return ask("GET", to("v1/index/plane"));
}

/**
 * Search by a source, in parts: first the answer with maps and neighbours, explained from the source's side; then
 * {id, hit} for each neighbour's own side, as it is made. A caller that stops early ends the request.
 */
export async function* search(source) {
  const { path, json } = searchRequest(source);
  const [body, type] = json ? [JSON.stringify(json), "application/json"] : [source.file, "application/octet-stream"];
  const lines = linesOf(await send("POST", path, body, type, NDJSON));
  const { value: found } = await lines.next();
  const others = found.neighbours.filter((hit) => hit.id !== source.id).slice(0, HITS);
  yield { ...found, neighbours: others };
  for await (const line of lines) {
    if (line.error) throw new Error(line.error.message);
    yield line;
  }
}

async function* linesOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let { value, done } = await reader.read(); !done; { value, done } = await reader.read()) {
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) yield JSON.parse(line);
    }
  } catch (error) {
    throw error instanceof TypeError ? new Error("The answer broke off; ask again.") : error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The answer to a search by a part of a source, [x, y, width, height] in its pixels, upright. */
export async function searchRegion(source, region) {
  const { path, json } = searchRequest(source, region);
  const answer = await (json ? askJson(path, json) : ask("POST", path, source.file));
  return { ...answer, neighbours: answer.neighbours.filter((hit) => hit.id !== source.id).slice(0, HITS) };
}

/** A stored item: {id, metadata, width, height, format, vector}. */
export function item(id) {
  return ask("GET", itemPath("items", id));
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
  const lines = answer.trim().split("\n").map((line) => JSON.parse(line));
  // A stream that fails behind its head is answered by 200 all the same.
  const failed = lines.find((line) => line.error);
  if (failed) throw new Error(failed.error.message);
  return lines.at(-1).summary.ok;
}

/** The picture of a stored item, as a Blob. */
export async function thumbnail(id) {
  return (await send("GET", itemPath("thumbnails", id))).blob();
}
