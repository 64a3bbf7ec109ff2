// Where an element lies that has no box of its own: what is drawn in it, such as content that floats
// or is placed elsewhere, or its part of an image. An expression in snapshot.js, which hands it what
// it knows of the document.
(({
  attribute, boxOf, boxesOf, contentOf, documentOf, findAll, findIn, firstOf, nextOf, parentOf, shadowOf, tagOf, typeOf, viewOf,
}) => {
  const MOST = 20; // boxes of one element
  const hasSize = (box) => box.width > 0 && box.height > 0;

  const textBoxes = (text) => {
    const range = documentOf(text).createRange();
    range.selectNodeContents(text);
    return text.data.trim() ? Array.from(range.getClientRects()) : [];
  };

  // The outermost boxes of what stands in an element, each with what has it.
  const inside = (element) => {
    const found = [], rest = [element];
    while (rest.length && found.length < MOST) {
      const node = rest.pop();
      const isText = typeOf(node) === Node.TEXT_NODE;
      if (!isText && typeOf(node) !== Node.ELEMENT_NODE) continue;
      const boxes = (isText ? textBoxes(node) : Array.from(boxesOf(node))).filter(hasSize);
      for (const box of boxes) found.push({ box, of: isText ? parentOf(node) : node });
      if (boxes.length || isText) continue;
      const below = [];
      for (let child = shadowOf(node) && firstOf(shadowOf(node)); child; child = nextOf(child)) below.push(child);
      for (let child = firstOf(node); child; child = nextOf(child)) below.push(child);
      rest.push(...below.reverse());
    }
    return found;
  };

  const mapOf = (area) => {
    let holder = parentOf(area);
    while (holder && tagOf(holder) !== "MAP") holder = parentOf(holder);
    return holder;
  };
  const imageOf = (area) => {
    const map = mapOf(area);
    return map && Array.from(findAll(documentOf(area), "img[usemap]")).find((image) => areasOf(image).includes(area));
  };
  const areasOf = (image) => {
    const name = (attribute(image, "usemap") ?? "").replace(/^[^#]*#/, "");
    const map = name && Array.from(findAll(documentOf(image), "map")).find((map) => attribute(map, "name") === name);
    return map ? Array.from(findIn(map, "area")) : [];
  };

  // The box around an area, in the viewport of its image.
  const areaBox = (area, image) => {
    const box = boxOf(image), { x: fromX, y: fromY, timesX, timesY } = contentOf(image, getComputedStyle(image));
    const numbers = (attribute(area, "coords") ?? "").split(/[,\s;]+/).map(Number);
    const shape = (attribute(area, "shape") ?? "rect").toLowerCase();
    if (shape === "default") return box;
    let xs = numbers.filter((_, i) => i % 2 === 0), ys = numbers.filter((_, i) => i % 2 === 1);
    if (shape.startsWith("circ")) {
      const [x, y, r] = numbers;
      [xs, ys] = [[x - r, x + r], [y - r, y + r]];
    }
    const left = Math.max(0, Math.min(...xs)), top = Math.max(0, Math.min(...ys));
    const right = Math.min(box.width / timesX, Math.max(...xs)), bottom = Math.min(box.height / timesY, Math.max(...ys));
    return hasSize({ width: right - left, height: bottom - top })
      ? new DOMRect(fromX + left * timesX, fromY + top * timesY, (right - left) * timesX, (bottom - top) * timesY)
      : new DOMRect();
  };

  // What an empty page is written on has no height: it is all of the window.
  const pageOf = (body) => new DOMRect(0, 0, viewOf(documentOf(body)).innerWidth, viewOf(documentOf(body)).innerHeight);

  // The boxes by which an element can be met, each with what to scroll to so that it comes into view.
  const extent = (element) => {
    const own = Array.from(boxesOf(element)).filter(hasSize);
    if (own.length) return own.map((box) => ({ box, of: element }));
    if (tagOf(element) === "BODY" && element.isContentEditable) return [{ box: pageOf(element), of: element }];
    if (tagOf(element) !== "AREA") return inside(element);
    const image = imageOf(element);
    return image ? [{ box: areaBox(element, image), of: image }].filter(({ box }) => hasSize(box)) : [];
  };

  return { extent, areaBox, areasOf, pageOf, textBoxes };
})
