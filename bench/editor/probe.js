/** What the bench asks of any page, ours or another's: told to the browser before the page's own scripts run. */
window.bench = {
  /** Milliseconds since the navigation began at the frame after the first in which so many texts are seen, or null. */
  firstPicture: null,

  watchFirstPicture({ texts, inside, least }) {
    const seen = (element) => {
      const { left, top, width, height } = element.getBoundingClientRect();
      const [x, y] = [left + width / 2, top + height / 2];
      if (width === 0 || x < 0 || y < 0 || x > innerWidth || y > innerHeight || element.textContent.trim() === "") return false;
      // What lies above it, such as a spinner's cover, hides it.
      return document.elementFromPoint(x, y)?.closest(inside) != null && element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
    };
    const look = () => {
      let count = 0;
      for (const element of document.querySelectorAll(texts)) if (seen(element) && (count += 1) >= least) break;
      if (count < least) requestAnimationFrame(look);
      else requestAnimationFrame(() => (this.firstPicture = performance.now()));
    };
    requestAnimationFrame(look);
  },

  /**
   * Times between animation frames while one event comes in each: to and fro, so that it ends where it began. A drag begins at the left edge, where
   * no page has a card. It fails where the page has a view that does not move.
   */
  frames({ gesture, count, selector }) {
    const target = document.querySelector(selector);
    const { left, top, width, height } = target.getBoundingClientRect();
    const at = { clientX: gesture.kind === "pan" ? left + 8 : left + width / 2, clientY: top + height / 2 };
    const view = () => document.querySelector(".react-flow__viewport")?.style.transform;
    const begin = view();
    let isStill = gesture.kind !== "nothing" && begin !== undefined;
    const send = (event) => target.dispatchEvent(event);
    const mouse = (type, change) => send(new MouseEvent(type, { bubbles: true, cancelable: true, view: window, button: 0, buttons: 1, ...at, ...change }));
    const wheel = (deltaY) => send(new WheelEvent("wheel", { bubbles: true, cancelable: true, view: window, deltaY, ...at }));
    const pan = (step) => {
      const [x, y] = gesture.by;
      // A triangle wave: a quarter of the way there, half of it back, a quarter again.
      const phase = (4 * step) / count;
      const place = phase < 1 ? phase : phase < 3 ? 2 - phase : phase - 4;
      mouse("mousemove", { clientX: at.clientX + x * place, clientY: at.clientY + y * place });
    };
    const zoom = (step) => {
      const phase = (4 * step) / count;
      wheel((phase < 1 || phase >= 3 ? 1 : -1) * gesture.by);
    };
    return new Promise((done, fail) => {
      const times = [];
      let last = null;
      let step = 0;
      const frame = (now) => {
        if (last !== null) times.push(now - last);
        last = now;
        if (step === 0 && gesture.kind === "pan") mouse("mousedown", {});
        isStill &&= view() === begin;
        if (step === count) {
          if (gesture.kind === "pan") mouse("mouseup", {});
          if (isStill) fail(new Error(`${gesture.kind} moved nothing`));
          else done(times);
          return;
        }
        if (gesture.kind === "pan") pan(step);
        else if (gesture.kind === "zoom") zoom(step);
        step += 1;
        requestAnimationFrame(frame);
      };
      requestAnimationFrame(frame);
    });
  },

  /** What was watched, as soon as it is known; an error where that takes longer than half a minute. */
  told(name) {
    const begin = performance.now();
    return new Promise((done, fail) => {
      const look = () => {
        if (this[name] != null) done(this[name]);
        else if (performance.now() - begin > 30_000) fail(new Error(`no ${name} yet: ${JSON.stringify(this.watching ?? null)}`));
        else setTimeout(look, 20);
      };
      look();
    });
  },

  /** Until nothing has changed in the page for so many milliseconds. */
  rest(ms) {
    return new Promise((done) => {
      let timer = 0;
      const observer = new MutationObserver(() => again());
      const again = () => {
        clearTimeout(timer);
        timer = setTimeout(() => {
          observer.disconnect();
          done(null);
        }, ms);
      };
      observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
      again();
    });
  },

  /** From the next event of a type: milliseconds to the first two frames, and to when each text has changed. */
  watchAnswer({ from, selectors }) {
    const read = () => Object.fromEntries(Object.entries(selectors).map(([name, selector]) => [name, document.querySelector(selector)?.textContent ?? null]));
    const before = read();
    const answer = { frames: [], changed: {} };
    this.answer = null;
    this.watching = { from, before, answer };
    const begun = () => {
      const begin = performance.now();
      const look = () => {
        const now = read();
        const changed = Object.keys(selectors).filter((name) => !(name in answer.changed) && now[name] !== null && now[name] !== before[name]);
        // A change found here was made before this frame is drawn: it is on the screen when the next one begins.
        requestAnimationFrame(() => {
          for (const name of changed) answer.changed[name] ??= performance.now() - begin;
          if (Object.keys(answer.changed).length === Object.keys(selectors).length) this.answer = answer;
        });
        if (answer.frames.length < 2) answer.frames.push(performance.now() - begin);
        if (Object.keys(answer.changed).length < Object.keys(selectors).length) requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    };
    window.addEventListener(from, begun, { once: true, capture: true });
  },
};
