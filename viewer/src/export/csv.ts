// CSV export of surfaces and paths, one line a cell or a step.
import type { Session } from "../session";

export function surfaceToCsv(session: Session): string {
  const surface = session.active;
  if (!surface) return "";
  const quantities = surface.quantities;
  const values = quantities.map((q) => surface.frameValues(q, Math.round(session.state.frame)));
  const lines = [["alpha", "beta", ...quantities, "computed"].join(",")];
  for (let i = 0; i < surface.na; i++) for (let j = 0; j < surface.nb; j++) {
    const k = i * surface.nb + j;
    lines.push(
      [
        surface.alpha[i],
        surface.beta[j],
        ...values.map((v) => formatCsvNumber(v[k])),
        surface.doneMask && !surface.doneMask[k] ? 0 : 1,
      ].join(","),
    );
  }
  return lines.join("\n") + "\n";
}

export function pathsToCsv(session: Session): string {
  const lines = ["path,step,epoch,alpha,beta,loss,accuracy,residual"];
  for (const path of session.scene.paths) for (let k = 0; k < path.step.data.length; k++) {
    const at = (array: { data: ArrayLike<number> } | null) => (array ? formatCsvNumber(array.data[k]) : "");
    lines.push(
      [
        JSON.stringify(path.label || path.name),
        path.step.data[k],
        at(path.epoch),
        at(path.alpha),
        at(path.beta),
        at(path.loss),
        at(path.accuracy),
        at(path.residual),
      ].join(","),
    );
  }
  return lines.join("\n") + "\n";
}

function formatCsvNumber(value: number): string {
  return Number.isNaN(value) ? "nan" : Number.isFinite(value) ? String(Number(value.toPrecision(9))) : value > 0 ? "inf" : "-inf";
}
