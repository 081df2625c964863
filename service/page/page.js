// The page: a photo in; its maps, its neighbours, and why. What it knows of the service is in api.js.

import "./adding.js";
import "./drops.js";
import "./index_browser.js";
import "./plane.js";
import { answer } from "./answer.js";
import * as api from "./api.js";
import { chosen, part } from "./elements.js";
import { fail, tell } from "./messages.js";
import { listModels } from "./models.js";
import { unpress } from "./neighbours.js";
import { leavePart } from "./region.js";
import { count } from "./samples.js";
import { shown } from "./shown.js";

async function begin() {
  try {
    await listModels();
    part("key").hidden = true;
    tell("");
    await count();
  } catch (error) {
    fail(error);
  }
}

chosen(part("photo"), ([file]) => answer(file));

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  tell("");
  if (!shown.photo) return;
  leavePart();
  unpress();
});

part("key").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useKey(part("key-text").value.trim());
  begin();
});

begin();
