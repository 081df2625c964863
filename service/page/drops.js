// Files that are dropped or pasted. Several dropped ones are stored only if that is chosen.

import { add } from "./adding.js";
import { answer } from "./answer.js";
import { part } from "./elements.js";

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  part("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) part("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  part("drop").classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (files.length === 1) answer(files[0]);
  else if (files.length > 1) askAbout(files);
});
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) answer(file);
});

function askAbout(files) {
  part("several-text").textContent = `${files.length} files were dropped.`;
  const dialog = part("several");
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "first") answer(files[0]);
    if (dialog.returnValue === "add") add(files);
  };
  dialog.showModal();
}

for (const button of part("several").querySelectorAll("button")) {
  button.addEventListener("click", () => part("several").close(button.value));
}
