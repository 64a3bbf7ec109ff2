// What people can see of a page, for whoever walks it from the top down. An expression whose value is
// an object of functions.
//
// Not seen: what is transparent, itself or with what holds it; what is clipped to nothing;
// text too small to be text, in a transparent colour, not laid out at all, or at negative places that
// no scrolling reaches. What is merely covered, or further down, is seen: it is there to be uncovered
// or scrolled to.
(() => {
  const FAINT = 0.01; // of a colour less than one of 255 levels survives
  const SMALL_PX = 3;
  const FAR_PX = 99;
  // A form answers with its fields where it should with its properties.
  const getter = (type, name) => {
    const { get } = Object.getOwnPropertyDescriptor(type.prototype, name);
    return (object) => get.call(object);
  };
  const documentOf = getter(Node, "ownerDocument"), parentOf = getter(Node, "parentElement");
  const placedBy = getter(HTMLElement, "offsetParent"), spaceOf = getter(Element, "namespaceURI");
  const scrolledX = getter(Element, "scrollLeft"), scrolledY = getter(Element, "scrollTop");
  const { checkVisibility, closest, hasAttributes } = Element.prototype, { contains } = Node.prototype;
  const slotOf = getter(Element, "assignedSlot"), hostOf = getter(ShadowRoot, "host");
  const { getRootNode } = Node.prototype;
  const holderOf = (element) => {
    const holder = slotOf(element) ?? parentOf(element);
    if (holder) return holder;
    const top = getRootNode.call(element);
    return top instanceof ShadowRoot ? hostOf(top) : null;
  };
  const isDrawn = (element) => spaceOf(element) === "http://www.w3.org/2000/svg";

  // With these, checkVisibility holds of elements that are neither hidden nor faded out, and have a box.
  const PLAIN = Object.freeze({ visibilityProperty: true, opacityProperty: true });

  // Whether an element is not shown at all, nor what it holds: it has no box and gives none, or lies in
  // something that is folded away. A drawing's title has none, and is its name.
  const isFolded = (element, tag, style) =>
    style.display === "none" ||
    (style.display !== "contents" && tag !== "title" && !checkVisibility.call(element));

  // What an element makes of all that it holds: `mine` is given `faded`, whether it is transparent,
  // and `clip`, what clips it to nothing (null if nothing does). `above` has the same of what holds
  // the element; `plain` is what checkVisibility says of it.
  const below = (mine, above, element, style, box, plain) => {
    mine.faded = !plain && (above.faded || Number(style.opacity) === 0);
    mine.clip = above.clip && !escapes(above.clip, element, style) ? above.clip : null;
    if ((box.width <= 1 || box.height <= 1) && style.overflow !== "visible" && holds(element, style))
      mine.clip ??= { element, whole: false };
    const path = style.clipPath;
    if (path !== "none" && cutsAll(path, box)) mine.clip = { element, whole: true };
    // An old property, which is given by classes: what has no attribute is not asked for it.
    const rectangle = hasAttributes.call(element) ? style.clip : "auto";
    if (rectangle !== "auto" && isNothing(rectangle) && /absolute|fixed/.test(style.position))
      mine.clip = { element, whole: true };
  };

  // A page's own body lends its overflow to the window; what has no box clips nothing.
  const holds = (element, style) => {
    const { body, documentElement } = documentOf(element);
    return style.display !== "contents" && element !== body && element !== documentElement;
  };

  // What is placed by something outside of a clipping box is not clipped by it.
  const escapes = (clip, element, style) => {
    if (clip.whole) return false;
    if (style.position === "fixed") return true;
    return style.position === "absolute" && !isDrawn(element) && !contains.call(clip.element, placedBy(element));
  };

  const cutsAll = (path, box) => {
    const inset = /^inset\(([^)]*?)(?: round .*)?\)$/.exec(path);
    if (inset) {
      const [top, right = top, bottom = top, left = right] = inset[1].split(" ");
      const of = (length, whole) => parseFloat(length) * (length.endsWith("%") ? whole / 100 : 1);
      return (
        of(top, box.height) + of(bottom, box.height) >= box.height - 1 ||
        of(left, box.width) + of(right, box.width) >= box.width - 1
      );
    }
    if (/^(?:circle|ellipse)\(0/.test(path)) return true;
    const corners = /^polygon\((.*)\)$/.exec(path)?.[1].split(", ");
    return corners !== undefined && new Set(corners).size === 1;
  };

  const isNothing = (rectangle) => {
    const [top, right, bottom, left] = (rectangle.match(/-?[\d.]+(?=px)|auto/g) ?? []).map(Number);
    return right - left <= 1 || bottom - top <= 1;
  };

  // Whether what an element shows of itself can be seen, wherever it lies: `mine` as `below` made it.
  const shows = (mine) => !mine.faded && !mine.clip;

  // Whether a box lies at negative places to which nothing can be scrolled.
  const isAway = (element, box) => {
    let right = box.x + box.width, bottom = box.y + box.height;
    if ((right > 0 && bottom > 0) || !(box.width || box.height)) return false;
    const root = documentOf(element).documentElement;
    for (let holder = holderOf(element); holder; holder = holderOf(holder)) {
      right += Math.abs(scrolledX(holder));
      bottom += scrolledY(holder);
    }
    // A page written from right to left is scrolled to the left.
    return bottom <= 0 || (right <= 0 && getComputedStyle(root).direction === "ltr");
  };

  // Whether text directly in an element can be read. With `named` it may be clipped or far away, as
  // what names a control for people who cannot see it. `text` is its node; null for a field's value.
  const reads = (mine, element, style, box, text, named = false) => {
    if (mine.faded || (mine.clip && !named)) return false;
    if (hasAttributes.call(element) && style.contentVisibility === "hidden") return false;
    if (!mine.plain && style.display !== "contents" && !checkVisibility.call(element)) return false;
    const drawn = isDrawn(element);
    if (drawn && closest.call(element, "defs, symbol, clipPath, mask, marker, pattern")) return false;
    if (opacityOf(drawn, style) < FAINT && !isOutlined(element, drawn, style)) return false;
    const small = parseFloat(style.fontSize) < SMALL_PX;
    const indented = parseFloat(style.textIndent) < -FAR_PX;
    if (small || indented || !(box.width > 0 && box.height > 0)) {
      if (text === null) return !small && !indented;
      const place = placeOf(text);
      return place.width > 0 && place.height >= SMALL_PX && (named || !isAway(element, place));
    }
    return named || !isAway(element, box);
  };

  const placeOf = (text) => {
    const range = documentOf(text).createRange();
    range.selectNodeContents(text);
    return range.getBoundingClientRect();
  };

  const opacityOf = (drawn, style) => {
    if (!drawn) return alphaOf(style.webkitTextFillColor);
    return style.fill === "none" ? 0 : alphaOf(style.fill) * style.fillOpacity;
  };
  const alphaOf = (colour) => {
    if (colour.startsWith("rgb(")) return 1;
    const found = /^rgba\(.*, ([\d.e-]+)\)$|\/ ([\d.e-]+)\)$/.exec(colour);
    return found ? Number(found[1] ?? found[2]) : 1;
  };

  // Text without a colour of its own is seen by its shadow, its outline, or the background cut to it.
  const isOutlined = (element, drawn, style) => {
    if (drawn) return style.stroke !== "none" && alphaOf(style.stroke) >= FAINT;
    if (style.textShadow !== "none" || parseFloat(style.webkitTextStrokeWidth) > 0) return true;
    for (let holder = element; holder; holder = holderOf(holder))
      if (getComputedStyle(holder).backgroundClip.includes("text")) return true;
    return false;
  };

  return Object.freeze({ PLAIN, below, isAway, isFolded, reads, shows });
})()
