// Another document laid over the scene that is open.
import { merged } from "./data/mergeDocuments";
import type { Document } from "./data/types";
import type { Session } from "./session";

/** Surfaces of `other` join the open scene under the name of their `origin`; what is seen and set stays. */
export function overlay(session: Session, other: Document, origin: string): void {
  const index = Math.min(session.state.scene, session.document.scenes.length - 1);
  session.document = merged(session.document, index, other, origin);
  session.open(index);
  const hidden = [...new Set([...session.state.hidden, ...session.landscape.unlisted])];
  session.store.set(session.fitted({ ...session.state, hidden }, { ...session.state, hidden }));
  session.retime(session.state);
}
