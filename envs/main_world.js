// In-page half that must live among the page's own scripts: the page's time and chance, and word of
// which elements listen for the mouse. Installed before any page script, in every document. What
// observes and acts is in snapshot.js, in a world of its own that the page cannot touch.
(() => {
  const KEY = Symbol.for("webdojo");
  if (window[KEY]) return;

  // What the page may replace later is taken now.
  const { apply, construct, getOwnPropertyDescriptor: described } = Reflect;
  const evaluate = window.eval, soon = queueMicrotask;
  const nativeSetTimeout = window.setTimeout, nativeClearTimeout = window.clearTimeout;
  const nativeSetInterval = window.setInterval;
  const addEventListener = EventTarget.prototype.addEventListener;
  const dispatchEvent = EventTarget.prototype.dispatchEvent, { preventDefault } = Event.prototype;
  const NativeMap = Map, NativeDate = Date, NativeInputEvent = InputEvent, NativeMouseEvent = MouseEvent, NativeRange = StaticRange;
  const nativeNow = Date.now;
  const mapGet = Map.prototype.get, mapSet = Map.prototype.set, mapDelete = Map.prototype.delete;
  const mapForEach = Map.prototype.forEach;
  const indexOf = Array.prototype.indexOf, join = Array.prototype.join, toText = String;
  const getter = (type, name) => {
    const { get } = described(type.prototype, name);
    return (object) => apply(get, object, []);
  };
  const parentOf = getter(Node, "parentNode"), childrenOf = getter(Node, "childNodes");
  const hostOf = getter(ShadowRoot, "host"), dataOf = getter(InputEvent, "data");
  const NativeElement = Element, NativeShadowRoot = ShadowRoot;
  const getRootNode = Node.prototype.getRootNode;

  // The page's own time and chance: both start anew with the episode, whatever ran before. A page
  // used again learns its episode's seed and beginning from EPISODE, set before or after this runs.
  const EPISODE = Symbol.for("webdojo.episode");
  const START_MS = 1750075200000;
  const loaded = nativeNow();
  let episode = null;
  const thisEpisode = () => {
    if (!episode) {
      episode = window[EPISODE] ?? { seed: __SEED__, begun: START_MS };
      delete window[EPISODE];
      chance = episode.seed;
    }
    return episode;
  };
  const { floor, max, trunc } = Math, { MAX_SAFE_INTEGER } = Number;
  let heldAt = null; // where the page's clock stands while the browser's is ahead of it
  const clock = () => heldAt ?? nativeNow();
  // A clock that stands while a script runs would keep one that waits for it for ever: after so many
  // looks at the same time each takes a little.
  const MANY_READS = 10000, READ_MS = 0.1;
  let readAt = 0, reads = 0, latest = 0;
  const read = () => {
    const time = clock();
    if (time !== readAt) [readAt, reads] = [time, 0];
    return (latest = max(latest, time + max(0, ++reads - MANY_READS) * READ_MS));
  };
  const now = () => START_MS + floor(read()) - thisEpisode().begun;
  // A tab's first blank document is there before its clock is ours: then it was loaded in real time.
  const origin = () => (loaded > clock() ? thisEpisode().begun : max(loaded, thisEpisode().begun));
  const sinceOrigin = () => read() - origin();
  window.Date = new Proxy(NativeDate, {
    construct: (target, values, self) => construct(target, values.length ? values : [now()], self),
    apply: () => new NativeDate(now()).toString(),
  });
  NativeDate.now = now;
  NativeDate.prototype.constructor = window.Date;
  performance.now = sinceOrigin;
  Object.defineProperty(performance, "timeOrigin", { configurable: true, get: () => START_MS + origin() - thisEpisode().begun });
  // An event came when the page first asks when it came: its own time is real.
  const came = new WeakMap(), cameAt = WeakMap.prototype.get, keepCame = WeakMap.prototype.set;
  const timeOf = described(Event.prototype, "timeStamp").get;
  Object.defineProperty(Event.prototype, "timeStamp", {
    configurable: true, enumerable: true,
    get() {
      apply(timeOf, this, []); // raises for what is no event
      let time = apply(cameAt, came, [this]);
      if (time === undefined) apply(keepCame, came, [this, (time = sinceOrigin())]);
      return time;
    },
  });
  const { prototype: formats } = Intl.DateTimeFormat;
  const formatOf = described(formats, "format").get, partsOf = formats.formatToParts;
  Object.defineProperty(formats, "format", {
    configurable: true,
    get() {
      const format = apply(formatOf, this, []);
      return (date) => format(date === undefined ? now() : date);
    },
  });
  formats.formatToParts = function formatToParts(date) {
    return apply(partsOf, this, [date === undefined ? now() : date]);
  };

  if (window.Temporal) {
    const { Instant, Now, ZonedDateTime } = Temporal, { fromEpochMilliseconds } = Instant, { timeZoneId } = Now;
    const { toZonedDateTimeISO } = Instant.prototype, { toPlainDate, toPlainDateTime, toPlainTime } = ZonedDateTime.prototype;
    const instant = () => apply(fromEpochMilliseconds, Instant, [now()]);
    const zoned = (zone = apply(timeZoneId, Now, [])) => apply(toZonedDateTimeISO, instant(), [zone]);
    Object.assign(Now, {
      instant() { return instant(); },
      zonedDateTimeISO(zone) { return zoned(zone); },
      plainDateISO(zone) { return apply(toPlainDate, zoned(zone), []); },
      plainDateTimeISO(zone) { return apply(toPlainDateTime, zoned(zone), []); },
      plainTimeISO(zone) { return apply(toPlainTime, zoned(zone), []); },
    });
  }

  // The browser deals with every word on the console before it gets to anybody else: a page has so
  // many an episode.
  const MAX_WORDS = 1000;
  let words = 0;
  for (const name of Object.keys(console)) {
    const say = console[name];
    if (typeof say !== "function") continue;
    console[name] = { [name]: (...said) => (words++ < MAX_WORDS ? apply(say, console, said) : undefined) }[name];
  }

  // A frame that is wanted now may cost browser time, which the page must not notice: what falls due
  // while its clock is held comes later, in its order, each at its own time.
  let goal = null; // how far the page's clock may follow the browser's
  const late = [];
  // Each in a task of its own, and the clock goes on behind all that is to be done at once. In a timer of
  // the browser's those that are set anew would come 4 ms apart, whosever they are.
  const { scheduler } = window, { postTask } = scheduler, report = reportError;
  const post = (run, priority) => apply(postTask, scheduler, [run, { __proto__: null, priority }]);
  let going = false;
  const goOn = () => {
    if (!going) post(catchUp, "background");
    going = true;
  };
  const isDue = (place, time) => place < late.length && late[place].due <= time;
  const runFirst = () => {
    if (goal === null || !isDue(0, heldAt)) return;
    const { run } = late[0];
    keepLate((place) => place > 0);
    try { run(); } catch (error) { report(error); }
  };
  const come = (id, due, run) => {
    if (heldAt === null) return run();
    let place = late.length;
    for (; place > 0 && late[place - 1].due > due; place--) late[place] = late[place - 1];
    late[place] = { id, due, run };
    if (goal === null) return;
    if (due <= heldAt) post(runFirst, "user-visible");
    goOn();
  };
  const keepLate = (wanted) => {
    let left = 0;
    for (let place = 0; place < late.length; place++) if (wanted(place)) late[left++] = late[place];
    late.length = left;
  };
  const catchUp = () => {
    going = false;
    if (goal === null) return;
    if (!isDue(0, goal)) {
      heldAt = goal === Infinity ? null : goal;
      goal = null;
      return;
    }
    heldAt = max(heldAt, late[0].due);
    for (let place = 0; isDue(place, heldAt); place++) post(runFirst, "user-visible");
    goOn();
  };
  const hold = (milliseconds) => {
    if (milliseconds === "") {
      heldAt ??= nativeNow();
      goal = null;
    } else if (heldAt !== null) {
      goal = heldAt + +milliseconds;
      if (goal + 1 >= nativeNow()) goal = Infinity; // a part of a millisecond is no lead
      goOn();
    }
  };
  const overdue = (due) => heldAt !== null && due <= nativeNow();
  const at = (due, run) => {
    if (!overdue(due)) {
      const id = apply(nativeSetTimeout, window, [() => come(id, due, run), due - nativeNow()]);
      return id;
    }
    const id = apply(nativeSetTimeout, window, [() => {}]); // for its number
    come(id, due, run);
    return id;
  };
  // Timers within timers are kept apart from the sixth on, as by the browser, held or not: the clock
  // gets past one that sets itself anew at once.
  const NESTED = 5, APART_MS = 4, AWAITED = 100;
  let nested = 0;
  const within = (depth, run) => {
    nested = depth;
    let left = AWAITED; // what awaited the timer goes on first
    const forget = () => { if (--left) soon(forget); else nested = 0; };
    try { return run(); } finally { soon(forget); }
  };
  const apart = (wait, depth) => (depth > NESTED ? max(wait, APART_MS) : wait);
  // Nor are those that messages keep apart without end: after so many in a row at one time each takes a
  // little.
  const MANY_TURNS = 256;
  let stoodAt = 0, turns = 0;
  const after = (wait, run) => {
    const depth = nested + 1, time = clock(), turn = stoodAt === time ? turns + 1 : 1;
    wait = apart(wait, depth);
    if (wait) return at(time + wait, () => within(depth, run));
    const due = turn > MANY_TURNS ? time + 1 : time;
    return at(due, () => {
      turns = stoodAt === due ? max(turns, turn) : turn;
      stoodAt = due;
      within(depth, run);
    });
  };
  const bodyOf = (callback, values) => {
    if (typeof callback === "function") return () => apply(callback, window, values);
    const text = toText(callback);
    return () => evaluate(text);
  };
  const cancel = (id) => {
    keepLate((place) => late[place].id !== id);
    return apply(nativeClearTimeout, window, [id]);
  };

  // One-shot timers that are due soon: with any of them pending the page is not at rest. A timer set
  // by a timer set by a timer … is a ticking page, which never rests.
  const SOON_MS = 1000, LATE_MS = 50, CHAIN = 3;
  const timers = new NativeMap();
  let chained = 0;
  window.setTimeout = function setTimeout(callback, delay, ...values) {
    const wait = max(0, delay | 0), depth = chained + 1, run = bodyOf(callback, values);
    const id = after(wait, () => {
      apply(mapDelete, timers, [id]);
      chained = depth;
      try { return run(); } finally { soon(() => { chained = 0; }); }
    });
    if (wait <= SOON_MS && depth <= CHAIN) apply(mapSet, timers, [id, clock() + wait]);
    return id;
  };
  const again = new NativeMap(); // the timer that an interval begun while the clock is held waits for
  window.setInterval = function setInterval(callback, delay, ...values) {
    const run = bodyOf(callback, values);
    let depth = nested;
    if (heldAt === null) {
      const id = apply(nativeSetInterval, window, [() => come(id, nativeNow(), () => within(++depth, run)), delay]);
      return id;
    }
    const wait = max(0, delay | 0);
    let due = clock() + apart(wait, depth);
    const tick = () => {
      due += apart(wait, ++depth);
      apply(mapSet, again, [id, at(due, tick)]);
      within(depth, run);
    };
    const id = at(due, tick);
    apply(mapSet, again, [id, id]);
    return id;
  };
  const clear = (id) => {
    id |= 0;
    apply(mapDelete, timers, [id]);
    const next = apply(mapGet, again, [id]) ?? id;
    apply(mapDelete, again, [id]);
    return cancel(next);
  };
  window.clearTimeout = function clearTimeout(id) { return clear(id); };
  window.clearInterval = function clearInterval(id) { return clear(id); };

  const { abort } = AbortController.prototype, NativeController = AbortController, NativeError = DOMException;
  const signalOf = getter(AbortController, "signal");
  const LONGEST_MS = 0x7fffffff; // that a timer waits
  AbortSignal.timeout = { timeout(delay) {
    const wait = trunc(delay);
    if (!(wait >= 0 && wait <= MAX_SAFE_INTEGER)) throw new TypeError("timeout: the argument is no number of milliseconds");
    const controller = new NativeController();
    const end = () => apply(abort, controller, [new NativeError("signal timed out", "TimeoutError")]);
    if (wait <= LONGEST_MS) after(wait, end);
    return signalOf(controller);
  } }.timeout;

  // What the page notes down happens by its own clock.
  const { mark, measure } = performance, isMissing = (value) => value === undefined || value === null;
  performance.mark = { mark(name, how) {
    return apply(mark, performance, [name, { startTime: sinceOrigin(), ...how }]);
  } }.mark;
  performance.measure = { measure(name, from, to) {
    if (!isMissing(to)) return apply(measure, performance, [name, from, to]);
    const how = isMissing(from) || typeof from !== "object" ? { start: from ?? 0 } : from;
    const ends = !isMissing(how.end) || (!isMissing(how.start) && !isMissing(how.duration));
    return apply(measure, performance, [name, ends ? how : { ...how, end: sinceOrigin() }]);
  } }.measure;

  // Frames come from the compositor in real time, whatever the page's clock says; these come every
  // 16 ms of page time, so that an animation is as far on in every run.
  let lastFrame = 0, coming = false, asked = new NativeMap(), running = new NativeMap();
  const drawFrame = () => {
    coming = false;
    [running, asked] = [asked, new NativeMap()];
    const time = sinceOrigin();
    apply(mapForEach, running, [(callback, id) => {
      apply(mapDelete, running, [id]);
      try { callback(time); } catch (error) { reportError(error); }
    }]);
  };
  window.requestAnimationFrame = (callback) => {
    if (typeof callback !== "function") throw new TypeError("requestAnimationFrame: the argument is not a function");
    if (!coming) after(16, drawFrame);
    coming = true;
    apply(mapSet, asked, [++lastFrame, callback]);
    return lastFrame;
  };
  window.cancelAnimationFrame = (id) => {
    if (!apply(mapDelete, asked, [id])) apply(mapDelete, running, [id]);
  };
  window.webkitRequestAnimationFrame = window.requestAnimationFrame;
  window.webkitCancelAnimationFrame = window.cancelAnimationFrame;

  // Nor may it be chance when the browser has nothing better to do.
  const IDLE_MS = 1, SPARE_MS = 50;
  window.requestIdleCallback = (callback) => {
    if (typeof callback !== "function") throw new TypeError("requestIdleCallback: the argument is not a function");
    let left = SPARE_MS;
    return after(IDLE_MS, () => callback({ didTimeout: false, timeRemaining: () => max(0, left--) }));
  };
  window.cancelIdleCallback = cancel;

  let chance = 0;
  const { imul } = Math;
  const random = () => { // mulberry32
    thisEpisode();
    chance = (chance + 0x6d2b79f5) | 0;
    let t = imul(chance ^ (chance >>> 15), 1 | chance);
    t = (t + imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  Math.random = random;
  if (window.crypto) {
    crypto.getRandomValues = (array) => {
      const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
      for (let i = 0; i < bytes.length; i++) bytes[i] = random() * 256;
      return array;
    };
    crypto.randomUUID = () => {
      const hex = (n) => Array.from({ length: n }, () => ((random() * 16) | 0).toString(16)).join("");
      return `${hex(8)}-${hex(4)}-4${hex(3)}-${"89ab"[(random() * 4) | 0]}${hex(3)}-${hex(12)}`;
    };
  }

  // A mouse that is locked to an element has no place that could be told or set.
  Element.prototype.requestPointerLock = function requestPointerLock() {
    apply(dispatchEvent, document, [new Event("pointerlockerror", { bubbles: true })]);
    return Promise.reject(new DOMException("The pointer cannot be locked here.", "NotAllowedError"));
  };

  // What could leave the machine past every guard of requests and connections.
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport"]) delete window[name];

  // Sent after a mouse move to make the browser deliver it; the page must not see it.
  const unpressed = (event) => {
    if (event.isTrusted && event.keyCode === 0 && event.code === "" && event.key === "") event.stopImmediatePropagation();
  };

  // A mouse that has not moved tells the page nothing: it is sent anew where the page has changed under
  // it, so that the browser notices what is hovered.
  let mouseX = null, mouseY = null;
  const unmoved = (event) => {
    if (!event.isTrusted) return;
    if (!event.buttons && event.clientX === mouseX && event.clientY === mouseY) event.stopImmediatePropagation();
    else if (event.type === "mousemove") [mouseX, mouseY] = [event.clientX, event.clientY];
  };

  // A document that is opened anew, as set_content does too, loses all listeners. Ours come before
  // any of the page's; to add one that is there does nothing.
  const UNHEARD = ["keydown", "keyup", "pointermove", "mousemove"];
  const listen = () => {
    for (let i = 0; i < UNHEARD.length; i++)
      apply(addEventListener, window, [UNHEARD[i], i < 2 ? unpressed : unmoved, true]);
  };
  listen();
  new MutationObserver(listen).observe(document, { childList: true });

  // Nodes and words pass to the other world in events on an element that no document holds. Its
  // name is known to the two scripts alone.
  const NAME = "__CHANNEL__";
  const channel = document.createElement("i");
  let open = false, kept = [];
  const send = (about, node) => {
    // An event does not carry what lies in a shadow tree: its host does, with the way down from it.
    let way = "";
    for (let root = apply(getRootNode, node, []); root instanceof NativeShadowRoot; root = apply(getRootNode, node, [])) {
      const steps = [];
      for (let inner = node; inner !== root; inner = parentOf(inner))
        steps[steps.length] = apply(indexOf, childrenOf(parentOf(inner)), [inner]);
      way = `/${apply(join, steps, [","])}${way}`;
      node = hostOf(root);
    }
    const targetRanges = [new NativeRange({ __proto__: null, startContainer: node, startOffset: 0, endContainer: node, endOffset: 0 })];
    apply(dispatchEvent, channel, [new NativeInputEvent("node", { __proto__: null, data: about + way, targetRanges })]);
  };
  const tell = (about, node) => {
    try {
      if (!(node instanceof NativeElement)) return;
      if (open) send(about, node);
      else kept[kept.length] = [about, node];
    } catch { /* what the page has broken is its own */ }
  };
  const offer = () =>
    apply(dispatchEvent, window, [new NativeMouseEvent(NAME, { __proto__: null, relatedTarget: channel })]);
  apply(addEventListener, channel, ["open", () => {
    open = true;
    for (let i = 0; i < kept.length; i++) send(kept[i][0], kept[i][1]);
    kept = [];
  }]);
  apply(addEventListener, channel, ["due", () => {
    let count = 0;
    const time = clock();
    apply(mapForEach, timers, [(due) => { if (due >= time - LATE_MS && due <= time + SOON_MS) count++; }]);
    const state = `${toText(count)} ${framed ? "framed" : ""} ${closed ? "closed" : ""}`;
    apply(dispatchEvent, channel, [new NativeInputEvent("state", { __proto__: null, data: state })]);
  }]);
  apply(addEventListener, channel, ["hold", (event) => hold(dataOf(event))]);
  apply(addEventListener, channel, ["behind", (event) => {
    if (goal === null) return;
    if (goal === Infinity) goal = nativeNow(); // and not what is lent until it has come so far
    apply(preventDefault, event, []);
  }]);
  apply(addEventListener, window, [NAME + "?", offer]);
  offer();

  // What the page hears of when it is drawn, and not before: frames come in real time.
  const FRAME_EVENTS = ["scroll", "scrollend", "resize", "transitionrun", "transitionstart", "transitionend", "transitioncancel",
    "webkitTransitionEnd", "animationstart", "animationiteration", "animationend", "animationcancel", "webkitAnimationEnd"];
  let framed = false, closed = false;
  for (const { prototype } of [IntersectionObserver, ResizeObserver]) {
    const { observe } = prototype;
    prototype.observe = { observe(...what) { framed = true; return apply(observe, this, what); } }.observe;
  }
  for (const type of FRAME_EVENTS)
    for (const holder of [window, HTMLElement.prototype, SVGElement.prototype, Document.prototype]) {
      const handler = described(holder, "on" + type);
      if (handler?.set) Object.defineProperty(holder, "on" + type, {
        ...handler,
        set(value) { framed = true; apply(handler.set, this, [value]); },
      });
    }
  for (const [holder, names] of [
    [Element.prototype, ["animate", "getAnimations", "requestFullscreen"]],
    [Document.prototype, ["getAnimations"]],
  ])
    for (const name of names) {
      const method = holder[name];
      if (method) holder[name] = { [name](...what) { framed = true; return apply(method, this, what); } }[name];
    }
  window.Animation = new Proxy(Animation, {
    construct: (target, what, self) => { framed = true; return construct(target, what, self); },
  });
  // Nothing is drawn while one view turns into another, for as long as that takes: it is there at once.
  const { startViewTransition } = Document.prototype, skipped = window.ViewTransition?.prototype.skipTransition;
  if (startViewTransition) Document.prototype.startViewTransition = { startViewTransition(...how) {
    const begun = apply(startViewTransition, this, how);
    apply(skipped, begun, []);
    return begun;
  } }.startViewTransition;
  // Nobody but the page sees into a closed shadow tree, nor what changes there.
  const { attachShadow } = Element.prototype;
  Element.prototype.attachShadow = { attachShadow(how) {
    const root = apply(attachShadow, this, [how]);
    if (how.mode === "closed") closed = true;
    return root;
  } }.attachShadow;
  const { prototype: internals } = ElementInternals, treeOf = described(internals, "shadowRoot");
  Object.defineProperty(internals, "shadowRoot", {
    ...treeOf,
    get() {
      const root = apply(treeOf.get, this, []);
      if (root) closed = true; // as one that is written in markup may be
      return root;
    },
  });

  const POINTER_EVENTS = ["click", "mousedown", "mouseup", "pointerdown", "pointerup", "dblclick", "contextmenu", "touchstart",
    "touchend", "mouseenter", "pointerenter", "dragover", "drop"];
  const KEY_EVENTS = ["keydown", "keyup", "keypress"];
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    if (apply(indexOf, UNHEARD, [type]) >= 0) listen();
    if (apply(indexOf, POINTER_EVENTS, [type]) >= 0) tell("listens", this);
    else if (apply(indexOf, KEY_EVENTS, [type]) >= 0) tell("keys", this);
    else if (apply(indexOf, FRAME_EVENTS, [type]) >= 0) framed = true;
    return apply(addEventListener, this, [type, ...rest]);
  };
  for (const type of [...POINTER_EVENTS, ...KEY_EVENTS])
    for (const { prototype } of [HTMLElement, SVGElement]) {
      const handler = described(prototype, "on" + type);
      if (!handler?.set) continue;
      Object.defineProperty(prototype, "on" + type, {
        ...handler,
        set(value) {
          tell((typeof value === "function" ? "+on" : "-on") + type, this);
          apply(handler.set, this, [value]);
        },
      });
    }

  // A new episode on this page; tells when it began, for documents to come.
  const restart = (seed) => {
    episode = { seed: seed & 0x7fffffff, begun: clock() };
    chance = episode.seed;
    latest = words = 0;
    mouseX = mouseY = null;
    Math.random = random;
    return episode.begun;
  };
  Object.defineProperty(window, KEY, { value: Object.freeze({ restart }), enumerable: false });
})();
