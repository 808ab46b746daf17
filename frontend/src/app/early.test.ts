// @vitest-environment happy-dom
import { afterEach, describe, expect, it, vi } from "vitest";
import { askEarly, editorRequests, fetchOrTake } from "./early";

describe("requests made early", () => {
  afterEach(() => vi.unstubAllGlobals());
  const studio = () => {
    const asked = vi.fn((request: Request | string) => Promise.resolve(new Response(typeof request === "string" ? `early ${request}` : "later")));
    vi.stubGlobal("fetch", asked);
    return asked;
  };
  const request = (path: string, init?: RequestInit) => new Request(new URL(path, window.location.href), init);

  it("are handed out once, and asked anew after that", async () => {
    studio();
    askEarly("/api/devices");
    expect(await (await fetchOrTake(request("/api/devices"))).text()).toBe("early /api/devices");
    expect(await (await fetchOrTake(request("/api/devices"))).text()).toBe("later");
  });
  it("are no answer to another method or address", async () => {
    studio();
    askEarly("/api/devices");
    expect(await (await fetchOrTake(request("/api/devices", { method: "POST" }))).text()).toBe("later");
    expect(await (await fetchOrTake(request("/api/models"))).text()).toBe("later");
  });
  it("fail for the one who takes them, and for nobody else", async () => {
    vi.stubGlobal("fetch", () => Promise.reject(new TypeError("no studio")));
    askEarly("/api/devices");
    await expect(fetchOrTake(request("/api/devices"))).rejects.toThrow("no studio");
  });
  it("are those of the network in the address", () => {
    expect(editorRequests("/m/abc")).toEqual(["/api/models/abc", "/api/devices", "/api/models/abc/plans"]);
    expect(editorRequests("/m/abc/p/3")).toContain("/api/models/abc");
    expect(editorRequests("/models")).toEqual([]);
    expect(editorRequests("/")).toEqual([]);
  });
});
