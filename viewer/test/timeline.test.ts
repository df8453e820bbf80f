// Timeline: steps by frame and back, with and without a timeline in the scene.
import { describe, expect, it } from "vitest";
import { indexAtStep } from "../src/sceneModel";
import { Timeline } from "../src/timeline";
import { numbers, pathData, sceneData } from "./helpers";

describe("a scene's timeline", () => {
  const scene = sceneData({
    timeline: {
      step: numbers(0, 10, 30, 70), label: ["first", "", "", ""], cosmetic: numbers(0, 1, 0, 0), milliseconds: 50,
      rotation: numbers(0, 30, 60, 90),
    },
  });
  const timeline = new Timeline(scene, []);

  it("interpolates steps between frames and finds the frame of a step", () => {
    expect([0, 0.5, 1.5, 3].map((frame) => timeline.step(frame))).toEqual([0, 5, 20, 70]);
    for (const frame of [0, 0.25, 1, 1.75, 2.5, 3]) expect(timeline.frameAt(timeline.step(frame))).toBeCloseTo(frame, 12);
    expect([timeline.step(-1), timeline.step(9), timeline.frameAt(999)]).toEqual([0, 70, 3]);
  });

  it("takes labels, transitions, rotation and speed from the scene", () => {
    expect([timeline.label(0), timeline.label(2)]).toEqual(["first", "step 30"]);
    expect([0, 1, 2].map((frame) => timeline.isTransition(frame))).toEqual([false, true, false]);
    expect([timeline.azimuth(1), timeline.milliseconds, timeline.isAnimated]).toEqual([30, 50, true]);
  });
});

describe("a timeline made from paths", () => {
  it("holds every step of all paths once, in order", () => {
    const timeline = new Timeline(sceneData(), [pathData("a", [0, 4, 8]), pathData("b", [2, 4, 6])]);
    expect(Array.from({ length: timeline.length }, (_, k) => timeline.step(k))).toEqual([0, 2, 4, 6, 8]);
  });

  it("is thinned to a hundred frames that keep both ends", () => {
    const timeline = new Timeline(sceneData(), [pathData("a", Array.from({ length: 1000 }, (_, k) => 3 * k))]);
    expect([timeline.length, timeline.step(0), timeline.step(99)]).toEqual([100, 0, 2997]);
    for (let k = 1; k < 100; k++) expect(timeline.step(k)).toBeGreaterThan(timeline.step(k - 1));
  });

  it("names step and epoch, and does not move without paths", () => {
    const timeline = new Timeline(sceneData(), [pathData("a", [0, 5, 10], { epoch: numbers(0, 0.5, 1) })]);
    expect(timeline.label(1)).toBe("step 5 · epoch 0.5");
    const none = new Timeline(sceneData(), []);
    expect([none.isAnimated, none.step(0)]).toEqual([false, Infinity]);
  });
});

describe("the index of a path at a step", () => {
  it("is linear between recorded steps and clamped to the ends", () => {
    const path = pathData("a", [0, 1, 4, 16]);
    expect([-3, 0, 0.5, 1, 2.5, 10, 16, 99].map((step) => indexAtStep(path, step))).toEqual([0, 0, 0.5, 1, 1.5, 2.5, 3, 3]);
  });
});
