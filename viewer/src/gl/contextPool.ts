// Browsers grant about sixteen WebGL contexts a page. Viewers beyond the limit keep their last picture and give theirs back.

export interface Tenant { freeze(): void }

const LIMIT = 10;
/** The least recently drawn first. */
const tenants: Tenant[] = [];

/** Called at each drawing; may freeze the viewer that has been quiet for longest. */
export function occupy(tenant: Tenant): void {
  release(tenant);
  tenants.push(tenant);
  while (tenants.length > LIMIT) tenants.shift()!.freeze();
}

export function release(tenant: Tenant): void {
  const at = tenants.indexOf(tenant);
  if (at >= 0) tenants.splice(at, 1);
}
