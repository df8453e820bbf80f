// Drag and drop of files onto the page.

/** Call `take` with each dropped file; `element` wears the class "dropping" while one hovers over it. */
export function listenForDrops(element: HTMLElement, onFile: (file: File) => void): () => void {
  const over = (event: DragEvent) => {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    element.classList.add("dropping");
  };
  const leave = (event: DragEvent) => { if (!element.contains(event.relatedTarget as Node | null)) element.classList.remove("dropping"); };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    element.classList.remove("dropping");
    for (const file of event.dataTransfer?.files ?? []) onFile(file);
  };
  const events = [["dragover", over], ["dragenter", over], ["dragleave", leave], ["drop", drop]] as const;
  for (const [name, handler] of events) element.addEventListener(name, handler as EventListener);
  return () => { for (const [name, handler] of events) element.removeEventListener(name, handler as EventListener); };
}
