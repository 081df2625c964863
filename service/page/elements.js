// Small helpers over the document.

export const part = (id) => document.getElementById(id);

/** A number as it is printed, with a minus sign. */
export function printed(value, digits) {
  return value.toFixed(digits).replace("-", "−");
}

/** An id, which may break behind its marks and not within a word. */
export function idText(id) {
  const text = element("span", { className: "id", title: id });
  text.append(...id.split(/(?<=[/_\-. ])/).flatMap((word) => [word, document.createElement("wbr")]).slice(0, -1));
  return text;
}

/** A share as per cent. */
export function percent(share, digits = 0) {
  return `${(100 * share).toFixed(digits)} %`;
}

/** A new element with these properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Use the files of an input, which can then be chosen a second time. */
export function chosen(input, use) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) use(files);
  });
}
