// Browsers grant about sixteen WebGL contexts a page. Viewers beyond the limit keep their last picture and give theirs back.

export interface Client { releaseContext(): void }

const MAX_CONTEXTS = 10;
/** The least recently drawn first. */
const clients: Client[] = [];

/** Called at each drawing; may freeze the viewer that has been quiet for longest. */
export function acquire(tenant: Client): void {
  release(tenant);
  clients.push(tenant);
  while (clients.length > MAX_CONTEXTS) clients.shift()!.releaseContext();
}

export function release(tenant: Client): void {
  const at = clients.indexOf(tenant);
  if (at >= 0) clients.splice(at, 1);
}
