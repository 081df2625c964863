// The service's interface, as far as the page uses it. Every failure is an Error whose message can be shown.

let key = "";

/** The service asks for an API key, or does not know the one it was sent. */
export class KeyNeeded extends Error {}

export function useKey(text) {
  key = text;
}

async function ask(method, path, body) {
  const headers = key ? { "X-API-Key": key } : {};
  // A file has the type that its name suggests; what it is, the service sees for itself.
  if (body instanceof Blob) headers["Content-Type"] = "application/octet-stream";
  let response;
  try {
    response = await fetch(path, { method, headers, body });
  } catch {
    throw new Error("The service cannot be reached; see whether it runs, and try again.");
  }
  const answer = await response.json();
  if (response.ok) return answer;
  throw response.status === 401 ? new KeyNeeded(answer.detail) : new Error(answer.detail);
}

/** The default model's card. */
export async function card() {
  const { data } = await ask("GET", "/v1/models");
  return data[0].card;
}

/** How many images the default model searches. */
export async function indexed() {
  const { model, spaces } = await ask("GET", "/v1/index");
  return spaces.find((space) => space.model === model)?.items ?? 0;
}

/** What each patch of an image tells about the image, in nats: {nats, mean}. */
export async function mapOf(image) {
  const { data } = await ask("POST", "/v1/mi-maps", image);
  return data[0];
}

/** The nearest items, each with the map of which patches of the image speak for it. */
export async function neighboursOf(image, count) {
  const { neighbours } = await ask("POST", `/v1/neighbours?k=${count}&explain=true`, image);
  return neighbours;
}

/** Store an image under an id. */
export function store(id, image, metadata) {
  const form = new FormData();
  form.append("image", image);
  form.append("metadata", JSON.stringify(metadata));
  const path = id.split("/").map(encodeURIComponent).join("/");
  return ask("PUT", `/v1/items/${path}`, form);
}
