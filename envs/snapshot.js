// In-page half of the environment. Runs before any page script, in every document, in a world of its
// own: it sees the page's elements and shares no object with the page's scripts, which can neither
// read, break nor forge what it tells. What must live among them is in main_world.js.
// Everything the environment asks of a page is one call on the object made here, so that one
// observation costs one round trip. Results are JSON text: cheaper than a serialised object.
(() => {
  if (window.webdojo) return;

  const HANDLERS = ["onclick", "onmousedown", "onmouseup", "onpointerdown", "onpointerup", "ondblclick", "oncontextmenu",
    "ontouchstart", "ontouchend", "onmouseenter", "onpointerenter", "ondragover", "ondrop"];
  const KEY_HANDLERS = ["onkeydown", "onkeyup", "onkeypress"];
  const TYPED_INPUTS = new Set(["text", "search", "email", "url", "tel", "password", "number", ""]);
  const FORM_TAGS = new Set([
    "BUTTON", "FIELDSET", "INPUT", "METER", "OPTGROUP", "OPTION", "OUTPUT", "PROGRESS", "SELECT", "TEXTAREA",
  ]);

  const sight = __SIGHT__;

  // A form answers with its fields where it should with its properties, and a document with its
  // images, whatever world asks: `form.tagName` is the field named so.
  const getter = (type, name) => {
    const { get } = Object.getOwnPropertyDescriptor(type.prototype, name);
    return (object) => get.call(object);
  };
  const method = (type, name) => {
    const found = type.prototype[name];
    return (object, a, b) => found.call(object, a, b);
  };
  const typeOf = getter(Node, "nodeType"), childrenOf = getter(Node, "childNodes");
  const firstOf = getter(Node, "firstChild"), nextOf = getter(Node, "nextSibling");
  const parentOf = getter(Node, "parentNode"), documentOf = getter(Node, "ownerDocument");
  const rootOf = method(Node, "getRootNode"), slotOf = getter(Text, "assignedSlot");
  const isConnected = getter(Node, "isConnected"), fieldNamedBy = getter(HTMLLabelElement, "control");
  const tagName = getter(Element, "tagName"), shadowOf = getter(Element, "shadowRoot");
  // A document that is XML has the tags of its HTML in small letters.
  const tagOf = document.contentType === "text/html" ? tagName : (element) =>
    element instanceof HTMLElement ? tagName(element).toUpperCase() : tagName(element);
  const attributesOf = getter(Element, "attributes"), hasAttributes = method(Element, "hasAttributes");
  const attribute = method(Element, "getAttribute"), hasAttribute = method(Element, "hasAttribute");
  const checkVisibility = method(Element, "checkVisibility");
  const boxOf = method(Element, "getBoundingClientRect"), boxesOf = method(Element, "getClientRects");
  const scrollTo = method(Element, "scrollIntoView");
  const matches = method(Element, "matches"), firstFound = method(Element, "querySelector");
  const findIn = method(Element, "querySelectorAll");
  const bodyOf = getter(Document, "body"), titleOf = getter(Document, "title");
  const viewOf = getter(Document, "defaultView"), stateOf = getter(Document, "readyState");
  const activeOf = getter(Document, "activeElement");
  const sheetsOf = getter(Document, "styleSheets"), findAll = method(Document, "querySelectorAll");
  const animationsOf = method(Document, "getAnimations");
  const hitIn = method(Document, "elementFromPoint"), adopted = getter(Document, "adoptedStyleSheets");

  // Which elements listen for the mouse or for keys is told by the page's world, in events on an element that
  // passes over when both scripts have started.
  const NAME = "__CHANNEL__";
  const listening = new WeakSet(), listeningToKeys = new WeakSet(), handlers = new WeakMap();
  let channel = null, timers = 0, framed = false, closedTrees = false;
  const nodeAt = (event) => {
    const [about, ...ways] = event.data.split("/");
    let node = event.getTargetRanges()[0].startContainer;
    for (const way of ways) {
      node = shadowOf(node);
      for (const step of way.split(",").reverse()) node = childrenOf(node)[step];
    }
    return [about, node];
  };
  const told = (event) => {
    const [about, node] = nodeAt(event);
    if (about === "listens") return listening.add(node);
    if (about === "keys") return listeningToKeys.add(node);
    const known = handlers.get(node) ?? new Map();
    known.set(about.slice(1), about[0] === "+");
    handlers.set(node, known);
  };
  window.addEventListener(NAME, (event) => {
    if (channel || !event.relatedTarget) return;
    channel = event.relatedTarget;
    channel.addEventListener("node", told);
    channel.addEventListener("state", (event) => {
      const [count, isFramed, isClosed] = event.data.split(" ");
      [timers, framed, closedTrees] = [Number(count), isFramed !== "", isClosed !== ""];
    });
    channel.dispatchEvent(new Event("open"));
  });
  window.dispatchEvent(new Event(NAME + "?"));
  // One call tells most elements from the few that may listen.
  const MAY_LISTEN = [...HANDLERS, "tabindex"].map((name) => `[${name}]`).join();
  const handles = (element, names) =>
    names.some((name) => handlers.get(element)?.get(name) ?? hasAttribute(element, name));
  const listens = (element) => {
    if (listening.has(element)) return true;
    if (!handlers.has(element) && !(hasAttributes(element) && matches(element, MAY_LISTEN))) return false;
    return handles(element, HANDLERS) ||
      (Number(attribute(element, "tabindex") ?? -1) >= 0 &&
        (listeningToKeys.has(element) || handles(element, KEY_HANDLERS)));
  };

  const { fieldBehind, isActionable, labelBefore, labelOf, roleOf, state, INTERACTIVE_ROLES } = __ACTIONABLE__({
    attribute, boxOf, fieldNamedBy, hasAttribute, matches, sight, tagOf, FORM_TAGS,
  });

  // What may have changed the picture is counted, so that a page that stands still need not be drawn
  // again to be known to. Where that cannot be told (a canvas, a video, a frame, a shadow root, an
  // image on its way) there is no telling.
  const loaded = Date.now();
  let changes = 0, pressed = 0;
  const RESTLESS = 3, RESTLESS_MS = 200;
  const changed = [], fading = new Set();
  const mutated = (records) => {
    for (const { attributeName, target } of records) {
      if (attributeName === "style" && attribute(target, "style")?.includes("opacity")) fading.add(target);
      if (target === document) listen(); // opened anew, it has lost all listeners
    }
    changes++;
    changed.push(Date.now());
    if (changed.length > RESTLESS) changed.shift();
  };
  const observer = new MutationObserver(mutated);
  observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  const change = () => changes++, press = () => pressed++, release = () => pressed--;
  const CHANGES = ["scroll", "focusin", "focusout", "mouseover", "mouseout", "selectionchange", "input", "change", "load",
    "error", "toggle", "resize", "transitionrun", "animationstart", "keydown"];
  const listen = () => {
    for (const type of CHANGES) window.addEventListener(type, change, true);
    window.addEventListener("mousedown", press, true);
    window.addEventListener("mouseup", release, true);
  };
  listen();
  const heard = () => {
    const records = observer.takeRecords();
    if (records.length) mutated(records);
  };
  const picture = (untold) => {
    heard();
    if (untold || closedTrees || CSS.highlights?.size) return "";
    let rules = 0;
    try { for (const sheet of sheetsOf(document)) rules += sheet.cssRules.length; } catch { /* another origin's */ }
    const undecided = document.querySelectorAll(":indeterminate").length;
    return [loaded, changes, pressed, rules, undecided, scrollX, scrollY, innerWidth, innerHeight].join();
  };

  // What keeps the page from being at rest: "" if nothing does. One change, such as a clock's, is not
  // unrest: whether it falls just before a look is chance.
  const ask = () => {
    timers = 0;
    channel?.dispatchEvent(new Event("due"));
  };
  const unsettled = () => {
    if (stateOf(document) !== "complete") return "loading";
    if (timers > 0) return "timers";
    return changed.length === RESTLESS && Date.now() - changed[0] < RESTLESS_MS ? "changes" : "";
  };

  // Whether the page hears of something only when it is drawn; what its markup says of it is searched
  // once a change.
  const FRAMED = ["scroll", "scrollend", "resize", "transitionrun", "transitionstart", "transitionend", "transitioncancel",
    "webkittransitionend", "animationstart", "animationiteration", "animationend", "animationcancel", "webkitanimationend",
    "fullscreenchange"].map((type) => `[on${type}]`).join() + ",[loading=lazy i]";
  const findFirst = method(Document, "querySelector");
  let searched = -1, marked = false;
  const isFramed = () => {
    if (!framed && !marked && searched !== changes) marked = findFirst(document, FRAMED) !== null;
    searched = changes;
    return framed || marked;
  };

  let ids = new WeakMap();
  let elements = new Map();
  let nextId = 1;
  let prefix = ""; // tells the ids of a frame of another origin from those of the page

  const idOf = (element) => {
    let id = ids.get(element);
    if (id === undefined) {
      id = prefix + nextId++;
      ids.set(element, id);
      elements.set(id, new WeakRef(element));
    }
    return id;
  };

  const elementOf = (id) => {
    const element = elements.get(id)?.deref();
    return element && isConnected(element) ? element : null;
  };

  const FRAMES = new Set(["IFRAME", "FRAME", "OBJECT"]);
  // The document of a frame if it is of the page's own origin.
  const insideOf = (frame) => {
    try { return frame.contentDocument; } catch { return null; }
  };
  const pixels = (length) => parseFloat(length) || 0;
  // Where the content of a frame or an image begins in its element's viewport, and how many times larger
  // than its own pixels it is drawn: whatever holds it may be zoomed or scaled.
  const contentOf = (element, style) => {
    const box = boxOf(element);
    const times = (drawn, own) => (own > 0 && Math.abs(drawn - own) >= 1 ? drawn / own : 1); // own ones are whole
    const timesX = times(box.width, element.offsetWidth), timesY = times(box.height, element.offsetHeight);
    return {
      x: box.x + (element.clientLeft + pixels(style.paddingLeft)) * timesX,
      y: box.y + (element.clientTop + pixels(style.paddingTop)) * timesY,
      timesX, timesY,
    };
  };
  // Which child of its parent a window is.
  const placeOf = (view, parent) => {
    for (let i = 0; i < parent.length; i++) if (parent[i] === view) return i;
    return -1;
  };
  // A frame's way down from the top, as "0/2": the same in the frame and in what holds it.
  const wayTo = (view) => {
    const steps = [];
    for (; view !== view.parent; view = view.parent) steps.unshift(placeOf(view, view.parent));
    return steps.join("/");
  };
  const wayOf = (frame) => {
    const view = viewOf(documentOf(frame));
    return [wayTo(view), placeOf(frame.contentWindow, view)].filter((step) => step !== "").join("/");
  };

  // A caret that blinks tells nothing, and makes every other screenshot of a page a different one.
  const noCaret = new CSSStyleSheet();
  noCaret.replaceSync(":root { caret-color: transparent !important }");
  adopted(document).push(noCaret);

  // Transitions and animations of style run in real time: what ends is shown at its end, what does
  // not at its beginning.
  const stillAnimations = (page) => {
    for (const animation of animationsOf(page)) {
      try {
        if (animation.effect?.getKeyframes().some((frame) => "opacity" in frame)) fading.add(animation.effect.target);
        if (animation.timeline && animation.timeline !== page.timeline) continue; // follows scrolling, not time
        if (animation.effect?.getComputedTiming().endTime === Infinity) {
          animation.pause();
          animation.currentTime = 0;
        } else {
          animation.finish();
        }
      } catch { /* one that cannot be moved stays where it is */ }
    }
  };

  // What was drawn half faded keeps a layer of its own when the fade is over, in which edges come out
  // one level lighter or darker. Whether it was drawn is chance: frames come in real time. A change to
  // how it is stacked, taken back at once, has it drawn afresh.
  const drawFadedAfresh = () => {
    heard();
    for (const element of fading) {
      if (isConnected(element) && Number(getComputedStyle(element).opacity) < 1) continue;
      fading.delete(element);
      // A frame asked for in which nothing is drawn holds up the next one for 16 ms of page time.
      if (!isConnected(element) || !boxesOf(element).length) continue;
      const moment = element.animate([AFRESH, AFRESH], { duration: 1, fill: "forwards" });
      moment.finish();
      boxOf(element); // has the change noticed
      moment.cancel();
    }
  };
  const AFRESH = { zIndex: -7919, isolation: "isolate" };

  // `named` tells the ids of this frame from others'; null is the page itself. A frame that its parent
  // can look into is seen by it, and tells itself only whether it is at rest. With the place of the mouse nothing is told where
  // the browser has yet to notice what lies under it.
  const snapshot = (named = null, mouse = null) => {
    if (named !== null && window.frameElement) {
      heard();
      ask();
      return JSON.stringify({ unsettled: unsettled(), framed: isFramed(), changes });
    }
    if (mouse && acting.hoverLags(mouse[0], mouse[1])) return "";
    prefix = named ?? "";
    stillAnimations(document);
    drawFadedAfresh();
    let focused = activeOf(document);
    while (focused) {
      const inner = shadowOf(focused) ?? (FRAMES.has(tagOf(focused)) ? insideOf(focused) : null);
      const next = inner && (typeOf(inner) === Node.DOCUMENT_NODE ? activeOf(inner) : inner.activeElement);
      if (!next || (tagOf(next) === "BODY" && !next.isContentEditable)) break;
      focused = next;
    }
    // The browser takes the focus from what is no longer shown when it next draws, sooner or later.
    const body = bodyOf(document);
    const nobody = focused === body && !(body?.isContentEditable && matches(body, ":focus"));
    if (nobody || !focused || !boxesOf(focused).length) focused = null;
    else focused = labelBefore(focused) ?? focused;
    ask();
    const { tree, untold } = see(body, window.webdojo, focused);
    return JSON.stringify({
      url: location.href,
      title: titleOf(document),
      way: wayTo(window),
      focused: focused ? idOf(focused) : "",
      within: focused && FRAMES.has(tagOf(focused)) && focused.contentWindow ? wayOf(focused) : null,
      scroll: [Math.round(scrollX), Math.round(scrollY)],
      picture: picture(untold),
      unsettled: unsettled(),
      framed: isFramed(),
      changes,
      tree,
    });
  };

  const reach = __EXTENT__({
    attribute, boxOf, boxesOf, contentOf, documentOf, findAll, findIn, firstOf, nextOf, parentOf, shadowOf, tagOf, typeOf,
    viewOf,
  });
  const fieldOf = (id) => {
    const element = elementOf(id);
    return element && tagOf(element) === "LABEL" ? fieldBehind(element) ?? element : element;
  };
  const acting = __ACTING__({
    attribute, contentOf, documentOf, elementOf, extent: reach.extent, fieldOf, findAll, firstFound, hitIn, idOf,
    matches, parentOf, rootOf, scrollTo, shadowOf, tagOf, typeOf, viewOf, FORM_TAGS, FRAMES, TYPED_INPUTS,
  });

  const see = __WALK__({
    attribute, attributesOf, bodyOf, boxOf, checkVisibility, contentOf, fieldBehind, firstOf, hasAttribute, hasAttributes, idOf,
    insideOf, isActionable, labelBefore, labelOf, nextOf, reach, roleOf, shadowOf, sight, slotOf, state, stillAnimations, tagOf,
    typeOf, viewOf, wayOf, FORM_TAGS, FRAMES, INTERACTIVE_ROLES, TYPED_INPUTS,
  });

  // A new episode on this page.
  const restart = () => {
    changes++;
    activeOf(document)?.blur?.();
    ids = new WeakMap();
    elements = new Map();
    nextId = 1;
  };

  // Keeps the page's clock standing while the browser's goes ahead, or lets it follow by so much.
  const hold = (milliseconds) =>
    void channel?.dispatchEvent(new InputEvent("hold", { data: milliseconds === null ? "" : `${milliseconds}` }));

  // Whether what fell due while it was held is still to come, though its time has passed.
  const behind = () => channel?.dispatchEvent(new InputEvent("behind", { cancelable: true })) === false;

  const way = () => wayTo(window);

  // How often anything has changed so far.
  const changesSoFar = () => {
    heard();
    return changes;
  };

  window.webdojo = Object.freeze({
    ...acting, snapshot, way, changesSoFar, elementOf, fieldOf, hold, behind, restart, listens, drawFadedAfresh,
  });
})();
