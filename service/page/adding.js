// Images that are added to the index from the user's disk.

import * as api from "./api.js";
import { chosen, element, part } from "./elements.js";
import { fail, tell } from "./messages.js";
import { searchAgain } from "./samples.js";

const AT_A_TIME = 4; // images on their way into the index
const MOST_REFUSED = 20; // that are named

export async function add(files) {
  const images = [...files].filter((file) => !file.name.startsWith("."));
  const waiting = [...images];
  const refused = [];
  const progress = part("progress");
  Object.assign(progress, { hidden: false, max: images.length, value: 0 });
  part("refused").replaceChildren();

  async function work() {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      try {
        await api.store(file.webkitRelativePath || file.name, file);
      } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
        if (error instanceof api.KeyNeeded) {
          waiting.length = 0;
          fail(error);
        }
      }
      progress.value += 1;
    }
  }

  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  progress.hidden = true;
  const lines = refused.slice(0, MOST_REFUSED);
  if (refused.length > lines.length) lines.push(`… and ${refused.length - lines.length} more`);
  part("refused").replaceChildren(...lines.map((textContent) => element("li", { textContent })));
  try {
    await searchAgain();
    tell(`${images.length - refused.length} of ${images.length} images added.`);
  } catch (error) {
    fail(error);
  }
}

chosen(part("images"), add);
chosen(part("folder"), add);
