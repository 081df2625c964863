// The page's request as text to run elsewhere: by curl, and by the Python client.

/** A text that a POSIX shell reads as one word. */
function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A string of Python; JSON's are. */
const python = JSON.stringify;

/**
 * The request in curl. A key is named by the variable INFOMAX_API_KEY, and not written out.
 *
 * @param {{url: string, name: string, json: object | null, withKey: boolean}} request the address with its query,
 *   and the photo's file, or the body of a search by an item
 */
export function asCurl({ url, name, json, withKey }) {
  const key = withKey ? ['-H "X-API-Key: $INFOMAX_API_KEY"'] : [];
  const type = json ? "application/json" : "application/octet-stream";
  const body = quoted(json ? JSON.stringify(json) : `@${name}`);
  const lines = ["curl", `-H 'Content-Type: ${type}'`, ...key, `--data-binary ${body}`, quoted(url)];
  return lines.join(" \\\n  ");
}

const PRINTED_MAP = '    print(kind, one.values.shape, f"{one.mean:.2f} {one.unit}")';

/** The request by infomax.client, from the same address. */
export function asPython({ url, name, json, withKey }) {
  const { origin, pathname, searchParams } = new URL(url);
  const service = origin + pathname.replace(/\/v1\/neighbours$/, "");
  const asked = json ?? Object.fromEntries(searchParams);
  const maps = asked.maps?.split(",") ?? [];
  const { model } = asked;
  const region = json?.region ? python(json.region) : asked.region;
  const key = withKey ? ', api_key=os.environ["INFOMAX_API_KEY"]' : "";
  return [
    ...(withKey ? ["import os", ""] : []),
    "from infomax.client import Client",
    "",
    `with Client(${python(service)}${key}) as client:`,
    "    found = client.neighbours(",
    `        ${json ? `id=${python(json.id)}` : python(name)},`,
    `        k=${asked.k},`,
    ...(region ? [`        region=${region},`] : []),
    ...(asked.explain ? ["        explain=True,"] : []),
    ...(maps.length ? [`        maps=[${maps.map(python).join(", ")}],`] : []),
    ...(asked.embedding ? ["        embedding=True,"] : []),
    ...(model ? [`        model=${python(model)},`] : []),
    "    )",
    "for hit in found:",
    `    print(f"{hit.score:.3f}  {hit.id}${region ? "  {hit.region}" : ""}")`,
    ...(maps.length ? ["for kind, one in found.maps.items():", PRINTED_MAP] : []),
    "",
  ].join("\n");
}
