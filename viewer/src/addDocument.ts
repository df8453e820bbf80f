// Addition of a second document to the open scene.
import { mergeDocuments } from "./data/mergeDocuments";
import type { Document } from "./data/types";
import type { Session } from "./session";

/** Surfaces of `other` join the open scene under the name of their `origin`; what is seen and set stays. */
export function addDocument(session: Session, other: Document, origin: string): void {
  const index = Math.min(session.state.scene, session.document.scenes.length - 1);
  session.document = mergeDocuments(session.document, index, other, origin);
  session.open(index);
  const hidden = [...new Set([...session.state.hidden, ...session.sceneModel.unlisted])];
  session.store.set(session.adaptToScene({ ...session.state, hidden }, { ...session.state, hidden }));
  session.updateTimeline(session.state);
}
