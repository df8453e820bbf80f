// Pool of WebGL contexts. Browsers grant about sixteen a page; viewers beyond the limit keep a still image and release theirs.

export interface Client { releaseContext(): void }

const MAX_CONTEXTS = 10;
/** The least recently drawn first. */
const clients: Client[] = [];

/** Mark `client` as drawn just now; the least recently drawn client beyond the limit must release its context. */
export function acquire(tenant: Client): void {
  release(tenant);
  clients.push(tenant);
  while (clients.length > MAX_CONTEXTS) clients.shift()!.releaseContext();
}

export function release(tenant: Client): void {
  const at = clients.indexOf(tenant);
  if (at >= 0) clients.splice(at, 1);
}
