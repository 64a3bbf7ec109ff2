// How an action finds its way to an element: where to click, or in plain words why one cannot; fields,
// options and files. An expression in snapshot.js, which hands it what it knows of the document.
(({
  attribute, contentOf, documentOf, elementOf, extent, fieldOf, findAll, firstFound, hitIn, idOf,
  matches, parentOf, rootOf, scrollTo, shadowOf, tagOf, typeOf, viewOf, FORM_TAGS, FRAMES, TYPED_INPUTS,
}) => {
  const describe = (element) => `element ${idOf(element)} (${tagOf(element).toLowerCase()})`;
  const above = (node) => parentOf(node) ?? node.host;

  // Why nothing can be done with an element, in plain words; "" if something can.
  const offWords = (element) => {
    const field = tagOf(element) === "LABEL" ? fieldOf(idOf(element)) : element;
    if (matches(field, ":disabled")) return `${describe(element)} is disabled`;
    for (let node = element; node; node = above(node))
      if (typeOf(node) === Node.ELEMENT_NODE && attribute(node, "inert") !== null)
        return `${describe(element)} is inert: the page lets nobody use it now`;
    return "";
  };

  const focusOn = (element) => {
    for (const { prototype } of [HTMLElement, SVGElement, MathMLElement])
      try { return prototype.focus.call(element); } catch { /* an element of another kind */ }
  };

  // What is typed goes to where the focus is: it must have come to the element itself.
  const takeFocus = (element) => {
    focusOn(element);
    if (rootOf(element).activeElement === element) return "";
    return `${describe(element)} does not take the focus; keyboard_press and keyboard_type go where it is now`;
  };

  // Whether an element can have the focus, kept or not: behind a modal dialog none can.
  const canFocus = (element) => {
    let came = false;
    const comes = () => { came = true; };
    element.addEventListener("focus", comes, true);
    focusOn(element);
    element.removeEventListener("focus", comes, true);
    return came || rootOf(element).activeElement === element;
  };

  // The frame elements between an element and this document, the innermost first.
  const framesAround = (element) => {
    const frames = [];
    for (let view = viewOf(documentOf(element)); view !== window && view?.frameElement; view = view.parent)
      frames.push(view.frameElement);
    return frames;
  };

  const hitAt = (owner, x, y) => {
    let hit = hitIn(owner, x, y);
    for (let root = hit && shadowOf(hit); root; root = shadowOf(hit)) {
      const inner = root.elementFromPoint(x, y);
      if (!inner || inner === hit) break;
      hit = inner;
    }
    return hit;
  };

  // A label passes on no click on a link or another field that stands in it.
  const KEPT_FROM_LABELS = "a[href], button, input, select, textarea";
  const keepsClicks = (node, label) =>
    typeOf(node) === Node.ELEMENT_NODE && matches(node, KEPT_FROM_LABELS) && node !== label.control;

  const belongs = (hit, element) => {
    const isLabel = tagOf(element) === "LABEL";
    if (tagOf(element) === "BODY" && tagOf(hit) === "HTML") return true; // all of the window is written on
    for (let node = hit; node; node = above(node)) {
      if (node === element) return true;
      if (isLabel && keepsClicks(node, element)) return false;
    }
    return FORM_TAGS.has(tagOf(element)) && Array.from(element.labels ?? []).some((label) => label.contains(hit));
  };

  const { get: slotOf } = Object.getOwnPropertyDescriptor(Element.prototype, "assignedSlot");
  const drawnIn = (node) => (typeOf(node) === Node.ELEMENT_NODE ? slotOf.call(node) : null) ?? above(node);

  // Whether what is drawn in an element is turned, skewed, mirrored or in perspective, so that its place
  // and its size do not tell where a point of it is.
  const isTurned = (element) => {
    for (let node = element; node; node = drawnIn(node)) {
      if (typeOf(node) !== Node.ELEMENT_NODE) continue; // a shadow root
      const style = getComputedStyle(node);
      if (!["none", "0deg"].includes(style.rotate) || style.offsetPath !== "none") return true;
      if (style.scale.includes("-")) return true;
      if (style.transform === "none") continue;
      const { m11, m12, m13, m14, m21, m22, m23, m24, m34 } = new DOMMatrix(style.transform);
      if (m11 <= 0 || m22 <= 0 || m12 || m13 || m14 || m21 || m23 || m24 || m34) return true;
    }
    return false;
  };

  // Where a point of a frame's viewport lies in that of its element: { x, y } if a click there would meet
  // the frame, else { cover } or { turned }.
  const outOf = (frame, x, y) => {
    if (isTurned(frame)) return { turned: frame };
    const content = contentOf(frame, getComputedStyle(frame));
    x = content.x + x * content.timesX;
    y = content.y + y * content.timesY;
    const hit = hitAt(documentOf(frame), x, y);
    return hit === frame ? { x, y } : { cover: hit };
  };

  // What a click at a point of the element's own viewport would meet, and where that is in this
  // document's: { x, y } if it is the element, else as `outOf`.
  const reach = (element, x, y) => {
    const hit = hitAt(documentOf(element), x, y);
    if (!hit || !belongs(hit, element)) return { cover: hit };
    let found = { x, y };
    for (const frame of framesAround(element)) {
      found = outOf(frame, found.x, found.y);
      if (found.x === undefined) break;
    }
    return found;
  };

  // Whether the page has changed under a mouse that stands still, and the browser, which looks for that
  // when it draws, has not noticed: what is shown as hovered is then another element, or none.
  const hoverLags = (x, y) => {
    const hit = hitAt(document, x, y);
    if (!hit) return false;
    if (!matches(hit, ":hover")) return true;
    const inner = firstFound(hit, ":hover"); // a label's field is hovered with it
    return inner !== null && !Array.from(inner.labels ?? []).some((label) => matches(label, ":hover"));
  };

  const refusal = (element, { cover, turned }) => {
    if (turned)
      return `${describe(element)} is in ${describe(turned)}, which is drawn turned: where in it a click would go cannot be told; press(...) reaches it`;
    return cover ? `${describe(element)} is covered by ${describe(cover)}` : `${describe(element)} cannot be scrolled into view`;
  };

  // A point of the element that a click would reach, or in plain words why there is none. A mouse
  // that only hovers may do so over what is disabled.
  const clickPoint = (id, scrolls = [false, true], hovers = false) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    const off = offWords(element);
    if (off && !(hovers && matches(element, ":disabled"))) return { error: off };
    const inView = (r) => r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;
    let met = {}, seen = false;
    for (const scroll of scrolls) {
      if (scroll) scrollTo(extent(element)[0]?.of ?? element, { block: "center", inline: "center", behavior: "instant" });
      for (const { box } of extent(element)) {
        seen = true;
        if (!inView(box) && documentOf(element) === document) continue;
        for (const [fx, fy] of [[0.5, 0.5], [0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75], [0.1, 0.1], [0.9, 0.9]]) {
          const found = reach(element, box.x + box.width * fx, box.y + box.height * fy);
          if (found.x !== undefined) return found;
          if (found.cover || found.turned) met = found;
        }
      }
    }
    if (!seen) return { error: `${describe(element)} is not visible` };
    return { error: refusal(element, met) };
  };

  // The element of the frame that is this window's child number `place`.
  const framesAmong = (elements, found = []) => {
    for (const element of elements) {
      if (FRAMES.has(tagOf(element))) found.push(element);
      if (shadowOf(element)) framesAmong(shadowOf(element).querySelectorAll("*"), found);
    }
    return found;
  };
  const frameAt = (place) =>
    framesAmong(findAll(document, "*")).find((frame) => frame.contentWindow === window[place]);

  const reveal = (place) => {
    const frame = frameAt(place);
    if (frame) scrollTo(frame, { block: "nearest", inline: "nearest", behavior: "instant" });
  };

  // Where a point of a frame's viewport lies in this one, if a click there would meet the frame.
  const outward = (place, x, y) => {
    const frame = frameAt(place);
    if (!frame) return { error: "the frame is no longer on the page" };
    const found = outOf(frame, x, y);
    return found.x === undefined ? { error: refusal(frame, found) } : found;
  };

  const setterOf = (element) =>
    Object.getOwnPropertyDescriptor(Object.getPrototypeOf(element), "value")?.set;

  const announce = (element) => {
    element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
  };

  // What such a field takes, for who has given it something else.
  const FORMS = new Map(Object.entries({
    "color": "a colour such as #ff0000", "date": "a date such as 2024-02-29", "month": "a month such as 2024-02",
    "datetime-local": "a date and time such as 2024-02-29T13:45", "number": "a number", "range": "a number",
    "time": "a time such as 13:45", "week": "a week such as 2024-W09",
  }));

  const NO_ONE_COLOUR = /^\s*(currentcolor|inherit|initial|revert|revert-layer|transparent|unset)\s*$/i;

  // What a field makes of a value, or in plain words that it takes none like it.
  const inItsForm = (element, type, value) => {
    if (!FORMS.has(type)) return { filled: value };
    const trial = document.createElement("input");
    trial.type = type;
    const set = (wanted) => {
      trial.value = wanted;
      return trial.value;
    };
    let filled = set(value.trim()), wanted = FORMS.get(type);
    // These two hold something whatever they are given.
    if (type === "color" && (!CSS.supports("color", value) || NO_ONE_COLOUR.test(value))) filled = "";
    if (type === "range") {
      for (const name of ["min", "max", "step"]) trial.setAttribute(name, attribute(element, name) ?? "");
      const least = set("-1e300"), most = set("1e300"), number = value.trim() ? Number(value) : NaN;
      wanted += ` from ${least} to ${most}`;
      filled = number >= Number(least) && number <= Number(most) ? set(value.trim()) : "";
    }
    if (filled || (!value && type !== "color" && type !== "range")) return { filled };
    return { error: `${describe(element)} does not accept ${JSON.stringify(value)}: it takes ${wanted}` };
  };

  // What a field held before text is put into it, and whether it has told the page of any.
  let filling = null;
  const textIn = (element) => (FORM_TAGS.has(tagOf(element)) ? element.value : element.textContent);
  const beginFilling = (element, holder, value) => {
    const mine = { element, holder, before: textIn(holder), value, told: false };
    holder.addEventListener("input", () => { mine.told = true; }, { capture: true, once: true });
    filling = mine;
    return { insert: true, value };
  };

  // Whether the page has taken the text that was put in, if only to make something else of it.
  const filled = (id) => {
    if (!filling || !elementOf(id)) return {};
    const { element, holder, before, value, told } = filling;
    if (told || before === value || textIn(holder) !== before) return {};
    return { error: `${describe(element)} did not take the text: the page keeps what it held` };
  };

  // Focus and select what the field holds, so that inserted text replaces it. Fields that are not
  // typed into (dates, sliders, colours) are set here and need no insertion.
  const prepareFill = (id, value) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    const off = offWords(element);
    if (off) return { error: off };
    if (FORM_TAGS.has(tagOf(element)) && element.readOnly) return { error: `${describe(element)} cannot be edited` };
    if (element.isContentEditable === true) {
      let host = element;
      while (parentOf(host)?.isContentEditable === true) host = parentOf(host);
      // In a document that is edited as a whole nothing need have the focus, but its window.
      const whole = documentOf(element).designMode === "on";
      const error = whole ? "" : takeFocus(host);
      if (error) return { error };
      if (whole) viewOf(documentOf(element)).focus();
      documentOf(element).getSelection().selectAllChildren(element);
      return beginFilling(element, host, value);
    }
    if (tagOf(element) !== "INPUT" && tagOf(element) !== "TEXTAREA")
      return { error: `${describe(element)} is not a field that can be filled` };
    const type = tagOf(element) === "TEXTAREA" ? "text" : element.type;
    if (["checkbox", "radio", "button", "submit", "file", "image", "reset", "hidden"].includes(type))
      return { error: `${describe(element)} is a ${type} input: it cannot be filled` };
    const { filled: taken, error: refused } = inItsForm(element, type, value);
    if (refused) return { error: refused };
    scrollTo(element, { block: "nearest", behavior: "instant" });
    const error = takeFocus(element);
    if (error) return { error };
    if (TYPED_INPUTS.has(type)) {
      element.select();
      return beginFilling(element, element, taken);
    }
    setterOf(element).call(element, taken);
    announce(element);
    return { insert: false };
  };

  // As it is read: a page sets options apart, and in, with more than single spaces.
  const asRead = (text) => text.replace(/\s+/g, " ").trim();
  const selectOption = (id, wanted) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    if (tagOf(element) !== "SELECT") return { error: `${describe(element)} is not a select` };
    const off = offWords(element);
    if (off) return { error: off };
    const options = Array.from(element.options);
    const chosen = [];
    for (const text of wanted) {
      const option = options.find((o) => asRead(o.label) === asRead(text)) ??
        options.find((o) => o.value === text || asRead(o.text) === asRead(text));
      if (!option) return { error: `${describe(element)} has no option ${JSON.stringify(text)}` };
      if (matches(option, ":disabled")) return { error: `option ${JSON.stringify(text)} is disabled` };
      chosen.push(option);
    }
    if (chosen.length > 1 && !element.multiple) return { error: `${describe(element)} takes one option` };
    if (!canFocus(element)) return { error: `${describe(element)} cannot be used now: it does not take the focus` };
    for (const option of options) option.selected = chosen.includes(option);
    announce(element);
    return {};
  };

  // Whether an element is a file input itself; another may ask for files when it is clicked.
  const CLICKED_INPUTS = new Set(["button", "image", "reset", "submit"]);
  const fileInput = (id, count) => {
    const element = fieldOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    const off = offWords(element);
    if (off) return { error: off };
    const tag = tagOf(element), isFile = tag === "INPUT" && element.type === "file";
    if (!isFile && (tag === "SELECT" || tag === "TEXTAREA" || (tag === "INPUT" && !CLICKED_INPUTS.has(element.type))))
      return { error: `${describe(element)} is not a file input` };
    if (isFile && count > 1 && !element.multiple) return { error: `${describe(element)} takes one file` };
    return { isFile, name: describe(element) };
  };

  const focus = (id) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    return { error: offWords(element) || takeFocus(element) };
  };

  // The box to be checked that an element is, or that it is the label of or in.
  const CHECKED_ROLES = new Set(["checkbox", "menuitemcheckbox", "menuitemradio", "option", "radio", "switch", "treeitem"]);
  const isNative = (element) => tagOf(element) === "INPUT" && (element.type === "checkbox" || element.type === "radio");
  const roleOf = (element) =>
    isNative(element) ? element.type : (attribute(element, "role") ?? "").toLowerCase().split(/\s+/).find((role) => CHECKED_ROLES.has(role));
  const boxFor = (element) => {
    if (roleOf(element)) return element;
    for (let node = element; node && typeOf(node) === Node.ELEMENT_NODE; node = parentOf(node))
      if (tagOf(node) === "LABEL") return node.control && roleOf(node.control) ? node.control : null;
    return null;
  };

  // Whether a box is checked, or in plain words why it cannot be as it is wanted.
  const isChecked = (id, wanted) => {
    const element = elementOf(id);
    if (!element) return { error: `no element ${id} on the page` };
    const box = boxFor(element);
    if (!box) return { error: `${describe(element)} is no checkbox, radio button or switch` };
    const checked = isNative(box) ? box.checked : ["aria-checked", "aria-selected"].some((name) => attribute(box, name) === "true");
    if (checked && !wanted && roleOf(box).endsWith("radio"))
      return { error: `${describe(element)} is a radio button: check another of its group instead` };
    return { checked };
  };

  return { hoverLags, clickPoint, reveal, outward, prepareFill, filled, selectOption, fileInput, focus, isChecked };
})
