// Conversion of TeX formulas in labels to plain Unicode text, since a page has no TeX renderer.

const COMMANDS: Record<string, string> = {
  alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", varepsilon: "ε", eta: "η", theta: "θ", kappa: "κ",
  lambda: "λ", mu: "μ", nu: "ν", xi: "ξ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "φ", varphi: "φ", chi: "χ",
  psi: "ψ", omega: "ω", Delta: "Δ", Gamma: "Γ", Lambda: "Λ", Sigma: "Σ", Phi: "Φ", Omega: "Ω", times: "×", cdot: "·",
  pm: "±", approx: "≈", leq: "≤", geq: "≥", neq: "≠", to: "→", rightarrow: "→", infty: "∞", nabla: "∇", partial: "∂",
  sum: "Σ", sqrt: "√", ell: "ℓ", star: "*", ast: "*", quad: " ",
};
const SUBSCRIPT_DIGITS = "₀₁₂₃₄₅₆₇₈₉";
const SUPERSCRIPT_DIGITS = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/** `$w_a$` as "w_a", `$\\lambda_{1}^2$` as "λ₁²"; text outside of dollars stays as it is. */
export function texToText(text: string): string {
  return text.replace(/\$([^$]+)\$/g, (_, formula: string) => formulaToText(formula));
}

function formulaToText(formula: string): string {
  return formula
    .replace(/\\(?:mathrm|mathbf|mathit|text|operatorname|hat|bar|tilde|vec)\s*\{([^{}]*)\}/g, "$1")
    .replace(/\\([a-zA-Z]+)\s?/g, (_, name: string) => COMMANDS[name] ?? name)
    .replace(/\\[,;:! ]/g, " ")
    .replace(/([_^])(?:\{([^{}]*)\}|(.))/g, (_, kind: string, braced?: string, single?: string) =>
      scriptToText(kind, braced ?? single ?? ""))
    .replace(/[{}]/g, "");
}

function scriptToText(kind: string, text: string): string {
  const digits = kind === "_" ? SUBSCRIPT_DIGITS : SUPERSCRIPT_DIGITS;
  return /^\d+$/.test(text) ? [...text].map((d) => digits[Number(d)]).join("") : `${kind === "_" ? "_" : "^"}${text}`;
}
