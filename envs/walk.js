// What people can see of a document and act on, as a tree. An expression in snapshot.js, which hands it
// what it knows of the document.
(({
  attribute, attributesOf, bodyOf, boxOf, checkVisibility, contentOf, fieldBehind, firstOf, hasAttribute, hasAttributes, idOf,
  insideOf, isActionable, labelBefore, labelOf, nextOf, reach, roleOf, shadowOf, sight, slotOf, state, stillAnimations, tagOf,
  typeOf, viewOf, wayOf, FORM_TAGS, FRAMES, INTERACTIVE_ROLES, TYPED_INPUTS,
}) => {
  const SKIPPED_TAGS = new Set(["SCRIPT", "STYLE", "NOSCRIPT", "TEMPLATE", "HEAD", "META", "LINK", "BASE"]);
  const KEPT_ATTRIBUTES = new Set([
    "id", "name", "type", "role", "aria-label", "title", "alt", "placeholder", "href", "for", "class",
  ]);
  // What stands in these is shown only where they themselves cannot be.
  const FALLBACK_TAGS = new Set(["CANVAS", "VIDEO", "AUDIO", "IFRAME", "METER", "PROGRESS"]);
  // What may come to look otherwise without a word of it.
  const UNTOLD_TAGS = new Set(["CANVAS", "VIDEO", "IFRAME", "FRAME", "OBJECT", "EMBED", "AUDIO", "MARQUEE"]);

  // A space that stands alone parts words only between what lies in one line.
  const FLOWING_TAGS = new Set([
    "A", "ABBR", "B", "BUTTON", "CITE", "CODE", "EM", "FONT", "I", "IMG", "INPUT", "KBD", "LABEL", "MARK", "SELECT",
    "SMALL", "SPAN", "STRONG", "SUB", "SUP", "TIME", "U", "VAR",
  ]);
  const flows = (node) => node && typeOf(node) === Node.ELEMENT_NODE && FLOWING_TAGS.has(tagOf(node));

  let focused = null, untold = false;

  // Whether text directly in an element, or what a field holds, can be read: asked only where there is any.
  const isTyped = (node, tag) => tag === "TEXTAREA" || (tag === "INPUT" && TYPED_INPUTS.has(node.type));
  const canRead = (inherited, text) =>
    (inherited.reads ??= sight.reads(inherited, inherited.element, inherited.style, inherited.box, text, inherited.named));
  const TOP = Object.freeze({ visible: true, pointer: false, faded: false, clip: null, named: false, inert: false, drawn: null });
  // Fields are often made invisible under a label that is drawn in their place: they can be acted on
  // all the same. What else is clipped away or out of reach cannot.
  const FIELD_TAGS = new Set(["INPUT", "SELECT", "TEXTAREA"]);
  // Text that is clipped away inside one of these is its name for who cannot see it, and is kept.
  const NAMED_TAGS = new Set(["A", "BUTTON", "SUMMARY"]);
  // Below NESTED_AT a node lies beside what it holds, so that no page is too deep to be read.
  const NESTED_AT = 150, DEEPEST = 1500;
  const hasSize = (box) => box.width > 0 && box.height > 0;
  // What is drawn in an element without a box of its own is the box by which it is known.
  const widen = (drawn, box) => {
    drawn.left = Math.min(drawn.left, box.x);
    drawn.top = Math.min(drawn.top, box.y);
    drawn.right = Math.max(drawn.right, box.x + box.width);
    drawn.bottom = Math.max(drawn.bottom, box.y + box.height);
  };
  // What is scaled beyond all measure has places that no whole number tells, or none.
  const FARTHEST = 1e8;
  const bounded = (number) => Math.max(-FARTHEST, Math.min(FARTHEST, number)) || 0;
  const whole = (pixels) => Math.round(bounded(pixels));
  // `at` is where the viewport of an element's document lies in this one, and how many times larger it is drawn.
  const boxAt = (box, at) => [
    whole(at.x + box.x * at.timesX), whole(at.y + box.y * at.timesY),
    whole(box.width * at.timesX), whole(box.height * at.timesY),
  ];
  const CHILDREN = 7;
  const withoutText = (nodes) =>
    nodes.filter((node) => typeof node !== "string").map((node) =>
      node[CHILDREN] ? node.with(CHILDREN, withoutText(node[CHILDREN])) : node);
  const described = (element) => {
    const attributes = {};
    for (const { name, value } of attributesOf(element)) {
      if (value && KEPT_ATTRIBUTES.has(name)) attributes[name] = value.length > 200 ? value.slice(0, 200) + "…" : value;
    }
    return attributes;
  };
  const walkAreas = (image, out, at, script) => {
    for (const area of reach.areasOf(image)) {
      const box = reach.areaBox(area, image);
      if (hasSize(box) && (hasAttribute(area, "href") || script.listens(area)))
        out.push(["area", idOf(area), 1, 1, described(area), state(area, "AREA", null, area === focused), boxAt(box, at)]);
    }
  };

  // A node is a string (text) or [tag, id, visible, actionable, attributes, state, box, children, label];
  // what is empty may be missing at its end. Where a frame's content is of another origin there stands in it
  // ["#frame", way, false, false, {}, { at: [x, y, timesX, timesY] }, box] with the place of its viewport.
  const walk = (node, out, inherited, at, script, depth = 0, level = 0) => {
    if (depth > DEEPEST) return;
    if (typeOf(node) === Node.TEXT_NODE) {
      if (!inherited.visible) return;
      const text = node.data.replace(/\s+/g, " ");
      if (text.trim() ? canRead(inherited, node) : text && flows(node.previousSibling) && flows(node.nextSibling)) out.push(text);
      else return;
      if (inherited.drawn && sight.shows(inherited) && text.trim())
        for (const box of reach.textBoxes(node)) if (!sight.isAway(inherited.element, box)) widen(inherited.drawn, box);
      return;
    }
    if (typeOf(node) !== Node.ELEMENT_NODE) return;
    const tag = tagOf(node);
    if (SKIPPED_TAGS.has(tag.toUpperCase())) return;
    const style = getComputedStyle(node);
    const inSelect = tag === "OPTION" || tag === "OPTGROUP";
    // One call tells most elements from the few of which more must be known: reading a style is slow.
    const plain = checkVisibility(node, sight.PLAIN);
    if (!plain && !inSelect && sight.isFolded(node, tag, style)) return;
    if (UNTOLD_TAGS.has(tag) || shadowOf(node) || (tag === "IMG" && !node.complete)) untold = true;
    const own = boxOf(node);
    const box = tag === "BODY" && !hasSize(own) && node.isContentEditable ? reach.pageOf(node) : own;
    if (FIELD_TAGS.has(tag) && sight.isAway(node, box) && labelBefore(node)) return; // which is seen in its place
    const unhidden = plain || style.visibility === "visible";
    const sized = hasSize(box), visible = inSelect || (unhidden && (sized || style.display === "contents"));
    const pointer = style.cursor === "pointer", given = hasAttributes(node);
    const mine = {
      visible: visible || (inherited.visible && unhidden), pointer, plain,
      faded: false, clip: null, element: node, style, box, named: inherited.named, reads: inSelect || tag === "title" || null,
      inert: inherited.inert || (given && hasAttribute(node, "inert")), drawn: inherited.drawn,
    };
    sight.below(mine, inherited, node, style, box, plain);
    const role = given ? roleOf(node) : null, field = tag === "LABEL" ? fieldBehind(node) : null;
    const offered = (visible || unhidden) && isActionable(node, tag, style, inherited.pointer, script, role, field);
    let actionable = offered && sized && (FIELD_TAGS.has(tag) || !(mine.clip || sight.isAway(node, box)));
    const nested = level < NESTED_AT || (offered && level < NESTED_AT + 50);
    const children = nested ? [] : out;
    if (inherited.drawn && sized && unhidden && sight.shows(mine) && !sight.isAway(node, box)) widen(inherited.drawn, box);
    if (offered && !sized) mine.drawn = { left: Infinity, top: Infinity, right: -Infinity, bottom: -Infinity };
    if ((actionable || (offered && !sized && nested)) && (NAMED_TAGS.has(tag) || INTERACTIVE_ROLES.has(role))) mine.named = true;
    let id = actionable ? idOf(node) : "", place = box;
    const attributes = given ? described(node) : {};
    if (given) {
      if (!sight.shows(mine)) delete attributes.alt, delete attributes.placeholder;
      if (role) attributes.role = role;
      if (tag === "OPTGROUP") attributes.label = attribute(node, "label") ?? "";
    }
    // Most elements of a long page are none of these: reading properties they lack takes time.
    const control = FORM_TAGS.has(tag);
    const below = nested ? level + 1 : level;
    if (tag !== "TEXTAREA" && !FALLBACK_TAGS.has(tag)) {
      const shadow = shadowOf(node), closed = tag === "DETAILS" && !hasAttribute(node, "open");
      for (let child = shadow && firstOf(shadow); child; child = nextOf(child)) walk(child, children, mine, at, script, depth + 1, below);
      const shown = tag === "OPTION" ? attribute(node, "label") : "";
      if (shown) children.push(shown);
      for (let child = shown ? null : firstOf(node); child; child = nextOf(child)) {
        if (shadow && typeOf(child) === Node.TEXT_NODE && !slotOf(child)) continue; // drawn nowhere
        if (!closed || (typeOf(child) === Node.ELEMENT_NODE && tagOf(child) === "SUMMARY")) walk(child, children, mine, at, script, depth + 1, below);
      }
    }
    if (offered && !sized) {
      const { left, top, right, bottom } = mine.drawn;
      if (right > left) {
        actionable = true;
        place = new DOMRect(left, top, right - left, bottom - top);
        id = idOf(node);
        if (inherited.drawn) widen(inherited.drawn, place);
      } else if (mine.named && !inherited.named) {
        children.splice(0, Infinity, ...withoutText(children)); // the name of nothing
      }
    }
    if (FRAMES.has(tag) && visible && sight.shows(mine) && !sight.isAway(node, box)) {
      const content = contentOf(node, style), inner = insideOf(node);
      const within = {
        x: at.x + content.x * at.timesX, y: at.y + content.y * at.timesY,
        timesX: at.timesX * content.timesX, timesY: at.timesY * content.timesY,
      };
      if (inner) {
        const body = bodyOf(inner);
        const its = viewOf(inner)?.webdojo ?? script;
        stillAnimations(inner);
        its.drawFadedAfresh(); // it was there when they faded
        if (body) walk(body, children, mine.inert ? { ...TOP, inert: true } : TOP, within, its, depth + 1, below);
      } else if (node.contentWindow) {
        const at = [whole(within.x), whole(within.y), bounded(within.timesX), bounded(within.timesY)];
        children.push(["#frame", wayOf(node), 0, 0, {}, { at }, [0, 0, 0, 0]]);
      }
    }
    const live = control || given || field || node === focused ? state(node, tag, field, node === focused) : {};
    if (field) attributes.type = field.type;
    if (actionable && mine.inert) live.inert = true;
    if (live.value && (isTyped(node, tag) ? !canRead(mine, null) : !actionable && !sight.shows(mine))) delete live.value;
    const seen = [
      tag.toLowerCase(), id, visible || actionable ? 1 : 0, actionable ? 1 : 0, attributes, live, boxAt(place, at),
    ];
    const label = control ? labelOf(node) : "";
    if ((nested && children.length) || label) seen.push(nested ? children : []);
    if (label) seen.push(label);
    out.push(seen);
    if (tag === "IMG" && given && visible && sight.shows(mine) && hasAttribute(node, "usemap")) walkAreas(node, out, at, script);
  };

  // The tree of a body, null where there is none, and whether what it looks like may change untold.
  // `script` is the in-page script of its document.
  return (body, script, focusedElement) => {
    const tree = [];
    focused = focusedElement;
    untold = false;
    if (body) walk(body, tree, TOP, { x: 0, y: 0, timesX: 1, timesY: 1 }, script);
    return { tree: tree[0] ?? null, untold };
  };
})
