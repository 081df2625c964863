// What is typed to find metadata, as a filter of the service.

/**
 * The filter of a text: `label=hat, year=2024`, or the JSON of one; "" for an empty text.
 *
 * Types are not converted by the service, so that what may be a number or a text is looked for as both.
 */
export function filterOf(text) {
  const typed = text.trim();
  if (typed.startsWith("{")) {
    try {
      return JSON.stringify(JSON.parse(typed));
    } catch {
      throw new Error("The filter on metadata is not JSON. Fix it, or write name=value.");
    }
  }
  const pairs = typed.split(",").map((pair) => pair.trim()).filter(Boolean);
  if (pairs.length === 0) return "";
  const terms = pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new Error(`“${pair}” does not say which metadata to find. Write name=value, or a filter in JSON.`);
    return { [pair.slice(0, at).trim()]: { in: values(pair.slice(at + 1).trim()) } };
  });
  return JSON.stringify({ and: terms });
}

function values(text) {
  if (text === "true" || text === "false") return [text, text === "true"];
  return text !== "" && Number.isFinite(Number(text)) ? [text, Number(text)] : [text];
}
