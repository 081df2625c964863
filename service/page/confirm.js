// A question before what cannot be undone.

import { part } from "./elements.js";

/** Whether the user says yes; Escape and closing say no. */
export function confirmed(question) {
  const dialog = part("confirm");
  part("confirm-text").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

for (const button of part("confirm").querySelectorAll("button")) {
  button.addEventListener("click", () => part("confirm").close(button.value));
}
