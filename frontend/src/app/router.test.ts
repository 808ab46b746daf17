// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { Problem } from "@/api/client";
import { openDimension, sortFiles } from "@/models/useUpload";
import { navigate, onwards, parseRoute } from "./router";

describe("addresses", () => {
  it.each([
    ["/", { page: "models" }],
    ["/models", { page: "models" }],
    ["/devices", { page: "devices" }],
    ["/m/5247b74d28db", { page: "editor", modelId: "5247b74d28db", planId: null }],
    ["/m/5247b74d28db/p/12", { page: "editor", modelId: "5247b74d28db", planId: 12 }],
    ["/m/%E0%A4%A/p/1/", { page: "editor", modelId: "%E0%A4%A", planId: 1 }],
    ["/m/5247b74d28db/p/x", { page: "unknown", path: "/m/5247b74d28db/p/x" }],
    ["/runs", { page: "runs", ids: [] }],
    ["/runs/", { page: "runs", ids: [] }],
    ["/runs/a1,b2,a1", { page: "runs", ids: ["a1", "b2"] }],
    ["/runs/a/b", { page: "unknown", path: "/runs/a/b" }],
    ["/m/", { page: "unknown", path: "/m/" }],
    ["/x", { page: "unknown", path: "/x" }],
  ])("%s", (path, route) => {
    expect(parseRoute(path)).toEqual(route);
  });
});

describe("dropped files", () => {
  const file = (name: string) => new File(["x"], name);
  it("the ONNX file is the model, the others come along", () => {
    const sorted = sortFiles([file("w.bin"), file("net.onnx")]);
    expect(sorted instanceof Problem ? null : [sorted.model.name, sorted.data.map(({ name }) => name)]).toEqual(["net.onnx", ["w.bin"]]);
  });
  it("two networks at once are refused", () => {
    expect(sortFiles([file("a.onnx"), file("b.onnx")])).toBeInstanceOf(Problem);
  });
  it("a lone file of another name is left to the studio to judge", () => {
    expect(sortFiles([file("a.bin")])).not.toBeInstanceOf(Problem);
  });
});

describe("a network that leaves a size open", () => {
  const problem = (code: string, message: string, details = {}) => new Problem({ code, message, next_step: "", details }, 422);
  it.each([
    [problem("unbound_dimension", "no fixed size", { symbol: "N" }), "N"],
    [problem("unbound_dimension", "no fixed size", { symbol: "x:2" }), "x:2"],
    [problem("unbound_dimension", "The input 'x' has no shape."), null],
    [problem("invalid_network", "no fixed size", { symbol: "x" }), null],
  ])("%s", (told, symbol) => {
    expect(openDimension(told)).toBe(symbol);
  });
});

describe("what takes a while", () => {
  it("leads on from where it was begun, and pulls nobody away from elsewhere", () => {
    navigate("/models");
    const goOn = onwards();
    navigate("/devices");
    goOn("/m/abc");
    expect(window.location.pathname).toBe("/devices");
    navigate("/models");
    goOn("/m/abc");
    expect(window.location.pathname).toBe("/m/abc");
  });
});
