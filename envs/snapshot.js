// In-page half of the environment. Installed before any page script, in every document.
// Everything the environment asks of a page is one call on the object made here, so that one
// observation costs one round trip. Results are JSON text: cheaper than a serialised object.
(() => {
  const KEY = Symbol.for("webdojo");
  if (window[KEY]) return;

  const INTERACTIVE_TAGS = new Set(["A", "BUTTON", "INPUT", "SELECT", "TEXTAREA", "SUMMARY"]);
  const INTERACTIVE_ROLES = new Set([
    "button", "link", "checkbox", "radio", "textbox", "searchbox", "combobox", "listbox", "option",
    "menuitem", "menuitemcheckbox", "menuitemradio", "tab", "switch", "slider", "spinbutton", "treeitem",
  ]);
  const SKIPPED_TAGS = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "HEAD", "META", "LINK", "BASE"]);
  const POINTER_EVENTS = new Set(["click", "mousedown", "mouseup", "pointerdown", "pointerup", "dblclick"]);
  const HANDLERS = Array.from(POINTER_EVENTS, (type) => "on" + type);
  const KEPT_ATTRIBUTES = new Set([
    "id", "name", "type", "role", "aria-label", "title", "alt", "placeholder", "href", "for", "class",
  ]);
  const FORM_TAGS = new Set([
    "BUTTON", "FIELDSET", "INPUT", "METER", "OPTGROUP", "OPTION", "OUTPUT", "PROGRESS", "SELECT", "TEXTAREA",
  ]);

  const listening = new WeakSet();
  const addEventListener = EventTarget.prototype.addEventListener;
  EventTarget.prototype.addEventListener = function (type, ...rest) {
    if (POINTER_EVENTS.has(type) && this instanceof Element) listening.add(this);
    return addEventListener.call(this, type, ...rest);
  };

  // Sent after a mouse move to make the browser deliver it; the page must not see it.
  for (const type of ["keydown", "keyup"])
    addEventListener.call(window, type, (event) => {
      if (event.isTrusted && event.keyCode === 0 && event.code === "" && event.key === "") event.stopImmediatePropagation();
    }, true);

  // What may have changed the picture is counted, so that a page that stands still need not be drawn
  // again to be known to. Where that cannot be told (a canvas, a video, a frame, a shadow root, an
  // image on its way) there is no telling.
  const UNTOLD_TAGS = new Set(["CANVAS", "VIDEO", "IFRAME", "FRAME", "OBJECT", "EMBED", "AUDIO", "MARQUEE"]);
  let changes = 0, pressed = 0, untold = false;
  const observer = new MutationObserver(() => changes++);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  for (const type of ["scroll", "focusin", "focusout", "mouseover", "mouseout", "selectionchange", "input", "change", "load",
    "error", "toggle", "resize", "transitionrun", "animationstart", "keydown"])
    addEventListener.call(window, type, () => changes++, true);
  addEventListener.call(window, "mousedown", () => pressed++, true);
  addEventListener.call(window, "mouseup", () => pressed--, true);
  const picture = () => {
    if (observer.takeRecords().length) changes++;
    if (untold) return "";
    let rules = 0;
    try { for (const sheet of document.styleSheets) rules += sheet.cssRules.length; } catch { /* another origin's */ }
    return [loaded, changes, pressed, rules, scrollX, scrollY, innerWidth, innerHeight].join();
  };

  // The page's own time and chance: both start anew with the episode, whatever ran before. A page
  // used again learns its episode's seed and beginning from EPISODE, set before or after this runs.
  const EPISODE = Symbol.for("webdojo.episode");
  const NativeDate = Date;
  const nativeNow = Date.now.bind(Date);
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
  const now = () => START_MS + nativeNow() - thisEpisode().begun;
  window.Date = new Proxy(NativeDate, {
    construct: (target, values, self) => Reflect.construct(target, values.length ? values : [now()], self),
    apply: () => new NativeDate(now()).toString(),
    get: (target, name) => (name === "now" ? now : Reflect.get(target, name)),
  });
  performance.now = () => nativeNow() - loaded;
  // Frames come from the compositor in real time, whatever the page's clock says; these come every
  // 16 ms of page time, so that an animation is as far on in every run.
  const later = window.setTimeout.bind(window);
  let lastFrame = 0, coming = false, asked = new Map(), running = new Map();
  const drawFrame = () => {
    coming = false;
    [running, asked] = [asked, new Map()];
    const time = performance.now();
    for (const [id, callback] of running) {
      running.delete(id);
      try { callback(time); } catch (error) { reportError(error); }
    }
  };
  window.requestAnimationFrame = (callback) => {
    if (typeof callback !== "function") throw new TypeError("requestAnimationFrame: the argument is not a function");
    if (!coming) later(drawFrame, 16);
    coming = true;
    asked.set(++lastFrame, callback);
    return lastFrame;
  };
  window.cancelAnimationFrame = (id) => { if (!asked.delete(id)) running.delete(id); };
  window.webkitRequestAnimationFrame = window.requestAnimationFrame;
  window.webkitCancelAnimationFrame = window.cancelAnimationFrame;

  let chance = 0;
  const random = () => { // mulberry32
    thisEpisode();
    chance = (chance + 0x6d2b79f5) | 0;
    let t = Math.imul(chance ^ (chance >>> 15), 1 | chance);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
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

  // Requests pass the origin guard; what opens connections of its own is kept in here.
  const SOCKETS = __SOCKETS__;
  if (window.WebSocket) {
    window.WebSocket = new Proxy(WebSocket, {
      construct: (target, [url, ...rest], self) => {
        const origin = new URL(url, document.baseURI).origin.replace(/^ws/, "http");
        const inside = origin === location.origin || SOCKETS.includes(origin);
        return Reflect.construct(target, [inside ? url : "ws://outside.invalid/", ...rest], self);
      },
    });
  }
  for (const name of ["RTCPeerConnection", "webkitRTCPeerConnection", "WebTransport"]) delete window[name];

  let ids = new WeakMap();
  let elements = new Map();
  let nextId = 1;
  let focused = null;

  const idOf = (element) => {
    let id = ids.get(element);
    if (id === undefined) {
      id = String(nextId++);
      ids.set(element, id);
      elements.set(id, new WeakRef(element));
    }
    return id;
  };

  const elementOf = (id) => {
    const element = elements.get(id)?.deref();
    return element && element.isConnected ? element : null;
  };

  const isVisible = (element, style, box) =>
    style.visibility === "visible" && ((box.width > 0 && box.height > 0) || style.display === "contents");

  // Anything with a click listener, a pointer cursor of its own, or a native or ARIA role.
  const isActionable = (element, style, parentPointer) =>
    element.tagName !== "OPTION" && element.tagName !== "BODY" && (
    INTERACTIVE_TAGS.has(element.tagName) ||
    INTERACTIVE_ROLES.has(element.getAttribute("role")) ||
    element.isContentEditable ||
    listening.has(element) ||
    HANDLERS.some((name) => typeof element[name] === "function") ||
    element.getAttribute("draggable") === "true" ||
    (style.cursor === "pointer" && !parentPointer));

  const state = (element) => {
    const found = {};
    const tag = element.tagName;
    if (tag === "INPUT" && (element.type === "checkbox" || element.type === "radio")) {
      if (element.checked) found.checked = true;
    } else if (tag === "INPUT" || tag === "TEXTAREA") {
      found.value = element.type === "password" ? "•".repeat(element.value.length) : element.value;
    } else if (tag === "SELECT") {
      found.value = element.selectedOptions[0]?.label ?? "";
    } else if (tag === "OPTION" && element.selected) {
      found.selected = true;
    }
    if (element.disabled) found.disabled = true;
    if (element.readOnly) found.readonly = true;
    if (element === focused) found.focused = true;
    for (const name of ["aria-checked", "aria-selected", "aria-expanded", "aria-disabled"]) {
      const value = element.getAttribute(name);
      if (value === "true" || value === "false") found[name.slice(5)] = value === "true";
    }
    return found;
  };

  const labelOf = (element) =>
    element.labels && element.labels.length
      ? Array.from(element.labels, (l) => l.innerText.trim()).filter(Boolean).join(" ")
      : "";

  // A space that stands alone parts words only between what lies in one line.
  const FLOWING_TAGS = new Set([
    "A", "ABBR", "B", "BUTTON", "CITE", "CODE", "EM", "FONT", "I", "IMG", "INPUT", "KBD", "LABEL", "MARK", "SELECT",
    "SMALL", "SPAN", "STRONG", "SUB", "SUP", "TIME", "U", "VAR",
  ]);
  const flows = (node) => node?.nodeType === Node.ELEMENT_NODE && FLOWING_TAGS.has(node.tagName);

  // A node is a string (text) or [tag, id, flags, attributes, state, box, children, label].
  // flags: 1 visible, 2 actionable.
  // Below NESTED_AT a node lies beside what it holds, so that no page is too deep to be read.
  const NESTED_AT = 150, DEEPEST = 1500;
  const walk = (node, out, inherited, offset, depth = 0, level = 0) => {
    if (depth > DEEPEST) return;
    if (node.nodeType === Node.TEXT_NODE) {
      const text = node.data.replace(/\s+/g, " ");
      if (!inherited.visible) return;
      if (text.trim() || (text && flows(node.previousSibling) && flows(node.nextSibling))) out.push(text);
      return;
    }
    if (node.nodeType !== Node.ELEMENT_NODE || SKIPPED_TAGS.has(node.tagName.toUpperCase())) return;
    const style = getComputedStyle(node);
    const inSelect = node.tagName === "OPTION" || node.tagName === "OPTGROUP";
    if (style.display === "none" && !inSelect) return;
    if (UNTOLD_TAGS.has(node.tagName) || node.shadowRoot || (node.tagName === "IMG" && !node.complete)) untold = true;
    const box = node.getBoundingClientRect();
    const visible = inSelect || isVisible(node, style, box);
    const pointer = style.cursor === "pointer";
    const actionable = visible && isActionable(node, style, inherited.pointer);
    const id = actionable ? idOf(node) : "";
    const attributes = {};
    const described = node.hasAttributes();
    if (described) {
      for (const { name, value } of node.attributes) {
        if (value && KEPT_ATTRIBUTES.has(name)) attributes[name] = value.length > 200 ? value.slice(0, 200) + "…" : value;
      }
    }
    // Most elements of a long page are none of these: reading properties they lack takes time.
    const control = FORM_TAGS.has(node.tagName) || node.tagName.includes("-");
    const nested = level < NESTED_AT || (actionable && level < NESTED_AT + 50);
    const children = nested ? [] : out;
    const below = nested ? level + 1 : level;
    const mine = { visible: visible || (inherited.visible && style.visibility === "visible"), pointer };
    if (node.tagName !== "TEXTAREA") {
      for (let child = node.shadowRoot?.firstChild; child; child = child.nextSibling) walk(child, children, mine, offset, depth + 1, below);
      for (let child = node.firstChild; child; child = child.nextSibling) walk(child, children, mine, offset, depth + 1, below);
    }
    if (node.tagName === "IFRAME" || node.tagName === "FRAME") {
      let inner = null;
      try { inner = node.contentDocument; } catch { /* another origin */ }
      if (inner?.body) {
        walk(inner.body, children, { visible: true, pointer: false },
             { x: offset.x + box.x + node.clientLeft, y: offset.y + box.y + node.clientTop }, depth + 1, below);
      }
    }
    out.push([
      node.tagName.toLowerCase(), id, (visible ? 1 : 0) | (actionable ? 2 : 0), attributes,
      control || described || node === focused ? state(node) : {},
      [Math.round(box.x + offset.x), Math.round(box.y + offset.y), Math.round(box.width), Math.round(box.height)], nested ? children : [], control ? labelOf(node) : "",
    ]);
  };

  // A caret that blinks tells nothing, and makes every other screenshot of a page a different one.
  const still = new CSSStyleSheet();
  still.replaceSync(":root { caret-color: transparent !important }");
  document.adoptedStyleSheets.push(still);

  // Transitions and animations of style run in real time: what ends is shown at its end, what does
  // not at its beginning.
  const stillAnimations = () => {
    for (const animation of document.getAnimations()) {
      try {
        if (animation.effect?.getComputedTiming().endTime === Infinity) {
          animation.pause();
          animation.currentTime = 0;
        } else {
          animation.finish();
        }
      } catch { /* one that cannot be moved stays where it is */ }
    }
  };

  const snapshot = () => {
    stillAnimations();
    focused = document.activeElement;
    while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
    // The browser takes the focus from what is no longer shown when it next draws, sooner or later.
    if (focused === document.body || !focused?.getClientRects().length) focused = null;
    const tree = [];
    untold = false;
    if (document.body) walk(document.body, tree, { visible: true, pointer: false }, { x: 0, y: 0 });
    return JSON.stringify({
      url: location.href,
      title: document.title,
      focused: focused ? idOf(focused) : "",
      scroll: [Math.round(scrollX), Math.round(scrollY)],
      picture: picture(),
      tree: tree[0] ?? null,
    });
  };

  const describe = (element) => `element ${idOf(element)} (${element.tagName.toLowerCase()})`;

  const frameOffset = (element) => {
    let x = 0, y = 0;
    for (let view = element.ownerDocument.defaultView; view !== window && view?.frameElement; view = view.parent) {
      const box = view.frameElement.getBoundingClientRect();
      x += box.x + view.frameElement.clientLeft;
      y += box.y + view.frameElement.clientTop;
    }
    return [x, y];
  };

  const hitAt = (element, x, y) => {
    let hit = element.ownerDocument.elementFromPoint(x, y);
    while (hit?.shadowRoot) {
      const inner = hit.shadowRoot.elementFromPoint(x, y);
      if (!inner || inner === hit) break;
      hit = inner;
    }
    return hit;
  };

  const belongs = (hit, element) => {
    for (let node = hit; node; node = node.parentNode ?? node.host) if (node === element) return true;
    return Array.from(element.labels ?? []).some((label) => label.contains(hit));
  };

  // A point of the element that a click would reach, or in plain words why there is none.
  const clickPoint = (id) => {
    let element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    if (element.disabled) return { error: `${describe(element)} is disabled` };
    const inView = (r) => r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;
    let cover = null, seen = false;
    for (const scroll of [false, true]) {
      if (scroll) element.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
      for (const box of element.getClientRects()) {
        if (box.width <= 0 || box.height <= 0) continue;
        seen = true;
        if (!inView(box) && element.ownerDocument === document) continue;
        for (const [fx, fy] of [[0.5, 0.5], [0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75], [0.1, 0.1], [0.9, 0.9]]) {
          const x = box.x + box.width * fx, y = box.y + box.height * fy;
          const hit = hitAt(element, x, y);
          if (hit && belongs(hit, element)) {
            const [dx, dy] = frameOffset(element);
            return { x: x + dx, y: y + dy };
          }
          cover = hit ?? cover;
        }
      }
    }
    if (!seen) return { error: `${describe(element)} is not visible` };
    return { error: cover ? `${describe(element)} is covered by ${describe(cover)}` : `${describe(element)} cannot be scrolled into view` };
  };

  const setterOf = (element) =>
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), "value")?.set;

  const changed = (element) => {
    element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const TYPED_INPUTS = new Set(["text", "search", "email", "url", "tel", "password", "number", ""]);

  // Focus and select what the field holds, so that inserted text replaces it. Fields that are not
  // typed into (dates, sliders, colours) are set here and need no insertion.
  const prepareFill = (id, value) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    if (element.disabled || element.readOnly) return { error: `${describe(element)} cannot be edited` };
    if (element.isContentEditable) {
      element.focus();
      element.ownerDocument.getSelection().selectAllChildren(element);
      return { insert: true };
    }
    if (element.tagName !== "INPUT" && element.tagName !== "TEXTAREA")
      return { error: `${describe(element)} is not a field that can be filled` };
    const type = element.tagName === "TEXTAREA" ? "text" : element.type;
    if (["checkbox", "radio", "button", "submit", "file", "image", "reset", "hidden"].includes(type))
      return { error: `${describe(element)} is a ${type} input: it cannot be filled` };
    element.scrollIntoView({ block: "nearest", behavior: "instant" });
    element.focus();
    if (TYPED_INPUTS.has(type)) {
      element.select();
      return { insert: true };
    }
    setterOf(element).call(element, value);
    if (element.value !== value && type !== "range")
      return { error: `${describe(element)} does not accept ${JSON.stringify(value)}` };
    changed(element);
    return { insert: false };
  };

  const selectOption = (id, wanted) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    if (element.tagName !== "SELECT") return { error: `${describe(element)} is not a select` };
    if (element.disabled) return { error: `${describe(element)} is disabled` };
    const options = Array.from(element.options);
    const chosen = [];
    for (const text of wanted) {
      const option = options.find((o) => o.value === text) ?? options.find((o) => o.label.trim() === text.trim());
      if (!option) return { error: `${describe(element)} has no option ${JSON.stringify(text)}` };
      if (option.disabled) return { error: `option ${JSON.stringify(text)} is disabled` };
      chosen.push(option);
    }
    if (chosen.length > 1 && !element.multiple) return { error: `${describe(element)} takes one option` };
    element.focus();
    for (const option of options) option.selected = chosen.includes(option);
    changed(element);
    return {};
  };

  const fileInput = (id, count) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    if (element.tagName !== "INPUT" || element.type !== "file") return { error: `${describe(element)} is not a file input` };
    if (count > 1 && !element.multiple) return { error: `${describe(element)} takes one file` };
    return {};
  };

  const focus = (id) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    element.focus();
    return {};
  };

  const isChecked = (id) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    const checked = element.checked ?? element.getAttribute("aria-checked") === "true";
    return { checked };
  };

  // A new episode on this page; tells when it began, for documents to come.
  const restart = (seed) => {
    changes++;
    episode = { seed: seed & 0x7fffffff, begun: nativeNow() };
    chance = episode.seed;
    document.activeElement?.blur?.();
    Math.random = random;
    ids = new WeakMap();
    elements = new Map();
    nextId = 1;
    return episode.begun;
  };

  const api = { nativeNow, snapshot, elementOf, clickPoint, prepareFill, selectOption, fileInput, focus, isChecked, restart };
  Object.defineProperty(window, KEY, { value: Object.freeze(api), enumerable: false });
})();
