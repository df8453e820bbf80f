// The import graph of src/: no circles, types included, and no folder that has grown beyond a dozen or so files.
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { preProcessFile } from "typescript";
import { describe, expect, it } from "vitest";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..", "src");

export type Graph = Map<string, string[]>;

/** Relative imports of every TypeScript file below `folder`, `import type` among them. */
function importGraph(folder: string): Graph {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".ts") && !name.endsWith(".d.ts"),
  );
  return new Map(files.map((name) => {
    const file = join(folder, name);
    const imported = preProcessFile(readFileSync(file, "utf8"), true, true).importedFiles.map((reference) => reference.fileName);
    const local = imported.filter((specifier) => specifier.startsWith(".") && !specifier.endsWith(".css"));
    return [name, local.map((specifier) => relative(folder, `${resolve(dirname(file), specifier)}.ts`))];
  }));
}

/** One import circle, as the files in order; null where there is none. Depth-first search with three colors. */
function findCircle(graph: Graph): string[] | null {
  const finished = new Set<string>();
  const stack: string[] = [];
  const visit = (file: string): string[] | null => {
    if (finished.has(file)) return null;
    if (stack.includes(file)) return [...stack.slice(stack.indexOf(file)), file];
    stack.push(file);
    for (const next of graph.get(file) ?? []) {
      const circle = visit(next);
      if (circle) return circle;
    }
    stack.pop();
    finished.add(file);
    return null;
  };
  for (const file of graph.keys()) {
    const circle = visit(file);
    if (circle) return circle;
  }
  return null;
}

describe("imports", () => {
  const graph = importGraph(root);

  it("finds a circle where there is one", () => {
    const chain: Graph = new Map([["a.ts", ["b.ts"]], ["b.ts", ["c.ts"]], ["c.ts", []]]);
    expect(findCircle(chain)).toBeNull();
    expect(findCircle(new Map(chain).set("c.ts", ["a.ts"]))).toEqual(["a.ts", "b.ts", "c.ts", "a.ts"]);
  });

  it("reads every import, types included", () => {
    expect(graph.get("export/exportable.ts")).toEqual(["session.ts"]);
    for (const imported of [...graph.values()].flat()) expect(graph.has(imported), imported).toBe(true);
  });

  it("go round in no circle", () => {
    expect(findCircle(graph)?.join(" -> ") ?? "").toBe("");
  });

  it("leave every folder with at most fourteen files", () => {
    const sizes = new Map<string, number>();
    for (const file of graph.keys()) sizes.set(dirname(file), (sizes.get(dirname(file)) ?? 0) + 1);
    expect([...sizes].filter(([, count]) => count > 14)).toEqual([]);
  });
});
