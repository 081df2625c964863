// The line that says what happens, and what has failed.

import { KeyNeeded } from "./api.js";
import { part } from "./elements.js";

export function tell(text, failed = false) {
  part("status").textContent = text;
  part("status").setAttribute("role", failed ? "alert" : "status");
  part("message").classList.toggle("failed", failed);
  part("message").hidden = !text;
  part("dismiss").hidden = !failed;
}

/** Show a failure, and ask for a key where that was all that was missing. */
export function fail(error) {
  part("key").hidden = !(error instanceof KeyNeeded);
  tell(error.message, true);
}

part("dismiss").addEventListener("click", () => tell(""));
