// The page of explore() and step(): look around in a graph, find boxes, follow the gradient, and
// watch the sweeps. Python has laid the graph out once for every level of detail; here the
// pictures are moved, marked and exchanged, and nothing is laid out.
//
//   item, group   a node or constant of the whole graph, a module's call: what `data` tells of
//   shape         what stands for it in the picture shown now: {el, x, y, w, h}
//   stands        of a level: id of an item -> id of the shape that stands for it, where it differs
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  const { items, groups, timeline } = data;
  const templates = [...document.querySelectorAll("template.level")];
  const SVG = "http://www.w3.org/2000/svg";
  const STILL = matchMedia("(prefers-reduced-motion: reduce)");
  const FAR = 0.22; // zoomed out further, no text can be read: it is not painted either
  const READABLE = 0.6; // at which the stepper begins at least
  const LARGEST = 8;
  const MANY = 12; // neighbours listed in the details
  const LONG = 60; // characters of a name that are shown

  function make(tag, properties = {}, ...children) {
    const el = Object.assign(document.createElement(tag), properties);
    el.append(...children);
    return el;
  }
  function draw(tag, attributes = {}, text = "") {
    const el = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
    el.textContent = text;
    return el;
  }
  const say = (text) => ($("live").textContent = text);

  // --- the frame ---------------------------------------------------------------------------------

  const stage = $("stage");
  const world = make("div", { id: "world" });
  stage.replaceChildren(make("a", { id: "skip", href: "#side", textContent: "Skip the graph" }));
  stage.append(world);
  stage.tabIndex = 0;
  stage.setAttribute("role", "group");
  stage.setAttribute("aria-label", "Graph: arrow keys move it, plus and minus zoom, Tab goes " +
    "from box to box");
  document.body.classList.add("live");

  // --- a level of detail -------------------------------------------------------------------------

  let level = data.start;
  let shapes = new Map(); // id -> shape, of boxes and groups
  let edges = []; // element of each arrow of the level
  let edgeOf = []; // arrow of the whole graph -> the level's arrow that stands for it, or undefined
  let copied = []; // whether the arrow is of a repeat that is not shown itself
  let marks; // layer of the shares, below `lids`, the layer of groups that were closed here
  let lids;

  const stand = (id) => {
    const other = data.levels[level].stands[id];
    return other === undefined ? id : other;
  };

  function showLevel(index) {
    level = index;
    const svg = document.importNode(templates[index].content.querySelector("svg"), true);
    const size = svg.viewBox.baseVal;
    svg.setAttribute("width", size.width);
    svg.setAttribute("height", size.height);
    svg.setAttribute("role", "presentation");
    world.replaceChildren(svg);
    world.width = size.width;
    world.height = size.height;
    const graph = svg.querySelector("g.graph");
    for (const old of graph.querySelectorAll(":scope > text, title")) old.remove();
    readShapes(graph, size);
    mapArrows();
    marks = graph.appendChild(draw("g", { "aria-hidden": "true" }));
    lids = graph.appendChild(draw("g"));
    closed.clear();
    $("note").textContent = data.levels[index].note;
    $("level").value = index;
    if (timeline) showStep(step);
    markFound();
    drawTrace();
    markPinned();
  }

  function readShapes(graph, size) {
    const { a: scale, e: left, f: top } = graph.transform.baseVal.consolidate().matrix;
    shapes = new Map();
    // All is measured before anything is changed: else every measure waits for a new layout.
    for (const el of graph.querySelectorAll("g.node, g.cluster")) {
      const frame = el.querySelector("path, polygon, ellipse");
      const box = frame.getBBox();
      const [x, y] = [box.x * scale + left - size.x, box.y * scale + top - size.y];
      const open = el.classList.contains("cluster");
      shapes.set(el.id, { el, frame, x, y, w: box.width * scale, h: box.height * scale, open });
    }
    for (const { el, open } of shapes.values()) (open ? readLabel : readLines)(el);
    edges = data.levels[level].arrows.map((_, i) => graph.querySelector(`#e${i}`));
    for (const el of graph.querySelectorAll("g.edge")) el.setAttribute("aria-hidden", "true");
  }

  // A box is a button; its lines of text are told apart by their colour.
  function readLines(el) {
    const lines = new Map();
    for (const text of el.querySelectorAll("text")) {
      const y = text.getAttribute("y");
      if (!lines.has(y)) lines.set(y, []);
      lines.get(y).push(text);
    }
    const kinds = { "#b91c1c": "gradient", "#0b5c73": "tangent" };
    [...lines.values()].slice(items[el.id] ? 1 : lines.size).forEach((texts) => {
      for (const text of texts) {
        text.classList.add(kinds[texts[0].getAttribute("fill")] ?? "value");
      }
    });
    button(el, el.id, nameOf(el.id) ?? el.querySelector("text")?.textContent ?? "");
    if (!items[el.id]) el.setAttribute("aria-expanded", "false");
  }

  // Of an open group the label is the button, not its interior.
  function readLabel(el) {
    const label = el.querySelector("text");
    if (!label) return;
    const name = label.textContent;
    label.textContent = `▾ ${name}`;
    label.setAttribute("x", label.getAttribute("x") - 6);
    button(label, el.id, name);
    label.setAttribute("aria-expanded", "true");
  }

  function button(el, id, name) {
    el.dataset.id = id;
    el.setAttribute("tabindex", 0);
    el.setAttribute("role", "button");
    el.setAttribute("aria-label", name);
  }

  const nameOf = (id) => items[id]?.title ?? groups[id]?.label;
  const brief = (name) => (name.length > LONG ? `${name.slice(0, LONG - 1)}…` : name);

  // Which of the level's arrows stands for which of the whole graph's. A repeated operand has
  // several between the same boxes: the same order in both lists tells them apart.
  function mapArrows() {
    const between = new Map();
    data.levels[level].arrows.forEach(([a, b], i) => {
      const key = `${a} ${b}`;
      if (!between.has(key)) between.set(key, { shown: [], count: 0 });
      between.get(key).shown.push(i);
    });
    edgeOf = [];
    copied = [];
    data.arrows.forEach(([source, target], j) => {
      const [a, b] = [stand(source), stand(target)];
      const pair = between.get(`${a} ${b}`);
      if (!pair) return;
      edgeOf[j] = pair.shown[pair.count++ % pair.shown.length];
      copied[j] = isCopy(source, a) || isCopy(target, b);
    });
  }

  // Repeats lie one behind another: what flows through the first is not the sum over all of them.
  const within = new Map(); // id of an item -> the groups around it
  for (const [id, { group }] of Object.entries(items)) {
    within.set(id, new Set());
    for (let g = group; g; g = groups[g]?.parent) within.get(id).add(g);
  }
  const holding = new Set([...within.values()].flatMap((around) => [...around]));
  function isCopy(id, shown) {
    if (items[shown]) return id !== shown;
    return holding.has(shown) && !!items[id].group && !within.get(id).has(shown);
  }

  // --- pan and zoom: one transform ---------------------------------------------------------------

  const view = { x: 0, y: 0, k: 1, settle: null }; // `settle` runs when the stage's size changes
  let resting;

  function place(glide = false) {
    world.classList.toggle("gliding", glide && !STILL.matches);
    world.classList.add("moving");
    clearTimeout(resting);
    resting = setTimeout(() => world.classList.remove("moving", "gliding"), 300);
    world.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.k})`;
    stage.classList.toggle("far", view.k < FAR);
  }

  function fitScale() {
    const across = (stage.clientWidth - 32) / world.width;
    return Math.min(across, (stage.clientHeight - 32) / world.height);
  }
  function fit(glide) {
    view.k = Math.max(0.01, Math.min(fitScale(), 1.6));
    view.x = (stage.clientWidth - world.width * view.k) / 2;
    view.y = (stage.clientHeight - world.height * view.k) / 2;
    view.settle = fit;
    place(glide);
  }
  // The stepper begins where its text can be read, at the first box.
  function begin() {
    fit();
    if (!timeline || view.k >= READABLE) return;
    view.k = READABLE;
    reveal(shapes.get(stand(timeline.steps[0].id)));
    view.settle = begin;
  }
  function pan(dx, dy, glide = false) {
    view.x += dx;
    view.y += dy;
    view.settle = null;
    place(glide);
  }
  // What lies at (x, y) of the stage stays there.
  function zoomAt(x, y, factor, glide = false) {
    const least = Math.min(fitScale() / 2, 0.5);
    const k = Math.min(LARGEST, Math.max(least, view.k * factor));
    view.x = x - ((x - view.x) * k) / view.k;
    view.y = y - ((y - view.y) * k) / view.k;
    view.k = k;
    view.settle = null;
    place(glide);
  }
  const zoom = (factor) => zoomAt(stage.clientWidth / 2, stage.clientHeight / 2, factor, true);

  function centre(shape, k = view.k) {
    view.k = k;
    view.x = stage.clientWidth / 2 - (shape.x + shape.w / 2) * k;
    view.y = stage.clientHeight / 2 - (shape.y + shape.h / 2) * k;
    view.settle = null;
    place(true);
  }

  // Moves no further than needed.
  function reveal(shape) {
    const shift = (start, size, length) => {
      const margin = Math.min(24, Math.max(0, (length - size) / 2));
      if (start < margin) return margin - start;
      return Math.min(0, length - margin - size - start);
    };
    const dx = shift(view.x + shape.x * view.k, shape.w * view.k, stage.clientWidth);
    const dy = shift(view.y + shape.y * view.k, shape.h * view.k, stage.clientHeight);
    if (dx || dy) pan(dx, dy, true);
  }

  const at = (event) => {
    const frame = stage.getBoundingClientRect();
    return [event.clientX - frame.left, event.clientY - frame.top];
  };

  // A mouse's wheel zooms; two fingers on a touchpad move, and pinch (ctrlKey) to zoom. The wheel
  // turns in notches; what a gesture is, is settled by its first event.
  let gesture = { zooms: false, time: -1000 };
  stage.addEventListener("wheel", (event) => {
    event.preventDefault();
    if (event.timeStamp - gesture.time > 250) {
      const notches = event.deltaMode !== 0 || Math.abs(event.wheelDeltaY ?? 0) % 120 === 0;
      gesture.zooms = notches && !event.deltaX && !event.shiftKey;
    }
    gesture.time = event.timeStamp;
    const unit = event.deltaMode === 1 ? 33 : event.deltaMode === 2 ? 400 : 1;
    if (event.ctrlKey || event.metaKey) {
      zoomAt(...at(event), Math.exp(-Math.max(-50, Math.min(50, event.deltaY * unit)) * 0.01));
    } else if (gesture.zooms) zoomAt(...at(event), Math.exp(-event.deltaY * unit * 0.0016));
    else if (event.shiftKey && !event.deltaX) pan(-event.deltaY * unit, 0);
    else pan(-event.deltaX * unit, -event.deltaY * unit);
  }, { passive: false });

  // One pointer drags, two pinch.
  const pointers = new Map();
  let dragged = false;
  const fingers = () => {
    const [p, q = p] = [...pointers.values()];
    const apart = Math.hypot(p[0] - q[0], p[1] - q[1]);
    return { x: (p[0] + q[0]) / 2, y: (p[1] + q[1]) / 2, apart };
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    if (!pointers.size) dragged = false;
    pointers.set(event.pointerId, at(event));
  });
  stage.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return;
    const before = fingers();
    const here = at(event);
    const [x, y] = pointers.get(event.pointerId);
    if (!dragged && Math.hypot(here[0] - x, here[1] - y) < 4) return; // a click may tremble
    if (!dragged) stage.setPointerCapture(event.pointerId);
    dragged = true;
    stage.classList.add("dragging");
    pointers.set(event.pointerId, here);
    const after = fingers();
    pan(after.x - before.x, after.y - before.y);
    if (before.apart && after.apart) zoomAt(after.x, after.y, after.apart / before.apart);
  });
  const lift = (event) => {
    pointers.delete(event.pointerId);
    if (!pointers.size) stage.classList.remove("dragging");
  };
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, lift);
  stage.addEventListener("pointerleave", (event) => dragged || lift(event));
  stage.addEventListener("scroll", () => stage.scrollTo(0, 0)); // focus scrolls; we pan instead
  new ResizeObserver(() => view.settle?.()).observe(stage); // a frame may get its size late

  // --- choosing boxes ----------------------------------------------------------------------------

  const idAt = (target) => target.closest?.("[data-id]")?.dataset.id;

  stage.addEventListener("click", (event) => {
    if (dragged) dragged = false;
    else if (event.target.id === "skip") {
      event.preventDefault();
      $("side").querySelector("button:not([hidden]), summary").focus();
    } else if (idAt(event.target)) press(idAt(event.target));
    else clear();
  });
  stage.addEventListener("pointerover", (event) => {
    const id = idAt(event.target);
    if (id && !pinned && !pointers.size) showDetails(id);
  });
  stage.addEventListener("focusin", (event) => {
    const id = idAt(event.target);
    if (!id || !event.target.matches(":focus-visible")) return;
    reveal(shapes.get(id));
    if (!pinned) showDetails(id);
    say(summary(id));
  });

  function press(id) {
    const shape = shapes.get(id);
    if (closed.has(id)) uncover(id);
    else if (shape.open) cover(id);
    else if (items[id]) pin(id, true);
    else open(id);
  }

  let pinned = null;
  function pin(id, trace = false) {
    pinned = id;
    showDetails(id);
    markPinned();
    say(summary(id));
    if (trace && data.inputs.some((input) => input.id === id)) follow(id);
  }
  function clear() {
    pinned = null;
    markPinned();
    follow(null);
    showDetails(null);
  }
  function markPinned() {
    stage.querySelector(".pinned")?.classList.remove("pinned");
    shapes.get(pinned && stand(pinned))?.el.classList.add("pinned");
    $("unpin").hidden = !pinned;
    $("details").classList.toggle("said", !!pinned);
  }
  $("unpin").addEventListener("click", clear);

  const into = new Map(); // id -> [[id of an operand, partial]]
  const outOf = new Map();
  for (const [a, b, partial] of data.arrows) {
    for (const [map, from, to] of [[into, b, a], [outOf, a, b]]) {
      if (!map.has(from)) map.set(from, []);
      map.get(from).push([to, partial]);
    }
  }

  function summary(id) {
    const { facts = [], kind = "group" } = items[id] ?? groups[id] ?? {};
    return [nameOf(id) ?? id, kind, ...facts.map(([label, text]) => `${label} ${text}`)].join(", ");
  }

  function showDetails(id) {
    const it = items[id] ?? groups[id];
    const body = $("details-body");
    body.replaceChildren();
    if (!id) {
      $("details-title").textContent = "Details";
      body.append(make("p", { className: "kind", textContent: "Point at a box, or choose one." }));
      return;
    }
    // A stretch of operations is known to the picture alone.
    const lines = [...shapes.get(id)?.el.querySelectorAll("text") ?? []].map((t) => t.textContent);
    $("details-title").textContent = nameOf(id) ?? lines.shift() ?? id;
    const kind = items[id]?.kind ?? "group";
    const inside = it && (items[id] ? groups[it.group] : groups[it.parent]);
    const shown = items[id] && stand(id);
    const where = [inside?.label ? `${kind} in ${inside.label}` : kind];
    if (shown && shown !== id) where.push(`shown as part of ${nameOf(shown) ?? shown}`);
    const rows = (it?.facts ?? lines.map((line) => ["holds", line])).flatMap(([label, text]) => [
      make("dt", { textContent: label }), make("dd", { textContent: text }),
    ]);
    rows.push(...neighbours("reads", into.get(id)), ...neighbours("read by", outOf.get(id)));
    const placed = make("p", { className: "kind", textContent: where.join("; ") });
    body.append(placed, make("dl", {}, ...rows));
  }

  function neighbours(label, found) {
    if (!found) return [];
    const list = make("dd");
    for (const [id, partial] of found.slice(0, MANY)) {
      const link = make("button", { type: "button", className: "link", textContent: nameOf(id) });
      link.dataset.go = id;
      list.append(link, partial ? `  partial ${partial}\n` : "\n");
    }
    if (found.length > MANY) list.append(`and ${(found.length - MANY).toLocaleString("en")} more`);
    return [make("dt", { textContent: label }), list];
  }
  $("details").addEventListener("click", (event) => {
    const id = event.target.dataset.go;
    if (id) goTo(id);
  });

  // Bring what stands for an item or group into view, and tell about the item.
  function goTo(id) {
    const shape = visible(id);
    if (view.k < 0.5) centre(shape, 1);
    else reveal(shape);
    pin(id);
  }

  // What shows an item or group, after going to a level that does and opening what hides it.
  function visible(id) {
    const shown = () => (groups[id] ? groupShape(id) : shapes.get(stand(id)));
    if (!shown()) {
      const levels = nearest((i) =>
        items[id] ? data.levels[i].stands[id] !== null : templates[i].content.getElementById(id));
      if (levels.length) showLevel(levels[0]);
    }
    const shape = shown();
    for (const [group, { hidden }] of closed) {
      if (hidden.has(shape.el)) uncover(group);
    }
    return shape;
  }
  // Of a group inside a collapsed one, that one.
  function groupShape(id) {
    let group = id;
    while (group && !shapes.has(group)) group = groups[group].parent;
    return shapes.get(group);
  }

  // --- groups ------------------------------------------------------------------------------------

  const closed = new Map(); // open group that is covered here -> {lid, hidden}

  const nearest = (has) =>
    templates.map((_, i) => i).filter(has)
      .sort((i, j) => Math.abs(i - level) - Math.abs(j - level));

  // A stretch of operations is open nowhere, but there may be a level that shows what it holds.
  function open(id) {
    const held = Object.keys(items).filter((item) => stand(item) === id);
    const itself = (i) => (item) => !(item in data.levels[i].stands);
    const [found] = [
      ...nearest((i) => templates[i].content.getElementById(id)?.classList.contains("cluster")),
      ...nearest((i) => held.every(itself(i))),
      ...nearest((i) => held.some(itself(i))),
    ];
    if (found === undefined) {
      pin(id);
      return say(`${nameOf(id) ?? id}: no level of detail shows it open`);
    }
    showLevel(found);
    const shape = shapes.get(id) ?? around(held.map((item) => shapes.get(item)).filter(Boolean));
    const fits = Math.min(stage.clientWidth / shape.w, stage.clientHeight / shape.h) * 0.9;
    centre(shape, Math.min(Math.max(view.k, FAR), Math.max(fits, 0.05)));
    (shape.el?.querySelector("[data-id]") ?? stage).focus({ preventScroll: true });
    say(`${nameOf(id) ?? id} opened`);
  }
  function around(boxes) {
    const [x, y] = ["x", "y"].map((side) => Math.min(...boxes.map((box) => box[side])));
    const right = Math.max(...boxes.map((box) => box.x + box.w));
    return { x, y, w: right - x, h: Math.max(...boxes.map((box) => box.y + box.h)) - y };
  }

  // Closing a group within a level paints a box over it. Nothing else moves.
  function cover(id) {
    const group = shapes.get(id);
    const inner = (s) => s !== group && s.x >= group.x && s.y >= group.y &&
      s.x + s.w <= group.x + group.w && s.y + s.h <= group.y + group.h;
    const ids = new Set([...shapes].filter(([, s]) => inner(s)).map(([other]) => other));
    const hidden = new Set([...ids].map((other) => shapes.get(other).el));
    data.levels[level].arrows.forEach(([a, b], i) => {
      if (ids.has(a) && ids.has(b) && edges[i]) hidden.add(edges[i]);
    });
    hidden.add(group.el.querySelector("[data-id]"));
    for (const other of ids) if (closed.has(other)) hidden.add(closed.get(other).lid);
    const count = [...ids].filter((other) => !shapes.get(other).open).length;
    const name = nameOf(id) ?? group.el.querySelector("text").textContent.slice(2);
    const size = `${count.toLocaleString("en")} box${count === 1 ? "" : "es"}`;
    const lid = draw("g", { class: "cover", "aria-expanded": "false" });
    const { x, y, width, height } = group.frame.getBBox();
    const font = Math.max(14, Math.min(height / 5, (1.4 * width) / name.length, 48));
    const [left, middle] = [x + width / 2, y + height / 2];
    lid.append(group.frame.cloneNode(),
      draw("text", { x: left, y: middle - font * 0.15, "font-size": font }, name),
      draw("text", { x: left, y: middle + font, "font-size": font * 0.85 }, size));
    button(lid, id, `${name}, ${size}`);
    lids.append(lid);
    closed.set(id, { lid, hidden });
    coverAll();
    lid.focus({ preventScroll: true });
    say(`${name} closed, ${size}`);
  }

  function uncover(id) {
    closed.get(id).lid.remove();
    closed.delete(id);
    coverAll();
    shapes.get(id).el.querySelector("[data-id]").focus({ preventScroll: true });
    say(`${nameOf(id) ?? id} opened`);
  }

  function coverAll() {
    for (const el of stage.querySelectorAll(".covered")) el.classList.remove("covered");
    for (const { hidden } of closed.values()) {
      for (const el of hidden) el.classList.add("covered");
    }
  }

  // --- levels ------------------------------------------------------------------------------------

  data.levels.forEach(({ label }, i) => {
    $("level").append(make("option", { value: i, textContent: label }));
  });
  $("detail").hidden = data.levels.length < 2;
  $("level").addEventListener("change", () => changeLevel(Number($("level").value)));

  // What is in the middle of the view stays there.
  function changeLevel(index) {
    const [mx, my] = [stage.clientWidth / 2, stage.clientHeight / 2];
    const { k, settle } = view;
    const middle = ({ x, y, w, h }) => [view.x + (x + w / 2) * k, view.y + (y + h / 2) * k];
    let best = null;
    let least = Infinity;
    for (const id of Object.keys(items)) {
      const shape = shapes.get(stand(id));
      if (!shape || data.levels[index].stands[id] === null) continue;
      const [x, y] = middle(shape);
      const far = Math.hypot(x - mx, y - my);
      if (far < least) [best, least] = [id, far];
    }
    const before = best && middle(shapes.get(stand(best)));
    showLevel(index);
    if (settle || !best) return fit();
    const after = middle(shapes.get(stand(best)));
    pan(before[0] - after[0], before[1] - after[1]);
  }

  // --- search ------------------------------------------------------------------------------------

  const words = [];
  for (const [id, { title, facts = [] }] of Object.entries(items)) {
    const named = facts.filter(([label]) => label === "name" || label === "operation");
    words.push([id, [title, ...named.map((fact) => fact[1])].join("\n").toLowerCase()]);
  }
  for (const [id, { label }] of Object.entries(groups)) words.push([id, label.toLowerCase()]);
  let found = [];
  let current = 0;

  function search() {
    const query = $("query").value.trim().toLowerCase();
    found = query ? words.filter(([, text]) => text.includes(query)).map(([id]) => id) : [];
    current = 0;
    showFound();
  }
  function showFound() {
    $("found").textContent = !$("query").value.trim() ? ""
      : found.length ? `${current + 1} of ${found.length}` : "none";
    if (found.length) goTo(found[current]);
    markFound();
  }
  function markFound() {
    for (const el of stage.querySelectorAll(".found, .current")) {
      el.classList.remove("found", "current");
    }
    found.forEach((id, i) => {
      const shape = groups[id] ? groupShape(id) : shapes.get(stand(id));
      shape?.el.classList.add(i === current ? "current" : "found");
    });
  }
  $("query").addEventListener("input", search);
  $("query").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !found.length) return;
    current = (current + (event.shiftKey ? found.length - 1 : 1)) % found.length;
    showFound();
  });

  // --- from an input to the output ---------------------------------------------------------------

  let followed = null; // one of data.inputs
  let path = null; // one of its paths, or null for all
  const listed = new Map(); // button -> input or path

  // Long names may go on in the next line after a dot.
  function broken(name) {
    const el = make("span");
    for (const part of name.split(/(?<=\.)/)) el.append(part, make("wbr"));
    return el;
  }
  const percent = (share) => {
    if (typeof share !== "number") return "–";
    const p = 100 * share;
    if (p && Math.abs(p) < 0.05) return p < 0 ? "> −0.1 %" : "< 0.1 %";
    const text = Math.abs(p) < 1e6 ? p.toLocaleString("en", { maximumFractionDigits: 1 })
      : p.toExponential(1);
    return `${text.replace("-", "−")} %`;
  };
  const counted = (count) => {
    const n = Number(count);
    const number = n < 1e9 ? n.toLocaleString("en")
      : n < Infinity ? `about ${n.toExponential(1).replace("+", "")}` : "over 1e308";
    return `${number} path${n === 1 ? "" : "s"}`;
  };

  function entry(it, name, number, against = false) {
    const right = make("span", { className: "number", textContent: number });
    if (against) right.classList.add("against");
    const el = make("button", { type: "button" }, broken(name), right);
    el.setAttribute("aria-pressed", "false");
    listed.set(el, it);
    return el;
  }

  for (const input of data.inputs) {
    $("input-list").append(entry(input, brief(input.name || input.id), counted(input.count)));
  }
  if (data.more) {
    const text = `and ${data.more.toLocaleString("en")} more, which are not followed`;
    $("input-list").append(make("p", { className: "kind", textContent: text }));
  }
  $("inputs").hidden = !data.inputs.length;

  function follow(id) {
    const before = followed;
    followed = data.inputs.find((input) => input.id === id) ?? null;
    path = null;
    if (followed || before) showPaths();
    drawTrace();
  }

  function showPaths() {
    $("paths").hidden = !followed;
    for (const [el] of listed) if (el.closest("#path-list")) listed.delete(el);
    $("path-list").replaceChildren();
    if (!followed) return;
    const { name, id, count, paths } = followed;
    const those = paths.length >= Number(count) ? ""
      : paths.length ? `The ${paths.length} largest are listed.` : "None is listed.";
    const minus = paths.some((p) => p.share < 0) ? "Dashed arrows work against the sum." : "";
    $("paths-text").textContent = `${counted(count)} from ${brief(name || id)} to the output: ` +
      `wider arrows carry more of its gradient. ${minus} ${those}`.trim();
    for (const p of paths) {
      const titles = p.ids.map((i) => nameOf(i) ?? i);
      const short = titles.length < 8 ? titles
        : [...titles.slice(0, 3), `… ${titles.length - 6} more …`, ...titles.slice(-3)];
      $("path-list").append(entry(p, short.join(" → "), percent(p.share), p.share < 0));
    }
  }

  $("inputs").addEventListener("click", (event) => {
    const el = event.target.closest("button");
    const it = listed.get(el);
    if (!it) return;
    if (el.parentNode.id === "input-list") {
      if (it === followed) return clear();
      pin(it.id, true);
    } else {
      path = it === path ? null : it;
      drawTrace();
      say(path ? `path of ${path.ids.length} boxes, ${percent(path.share)}` : "all paths");
    }
  });

  // Arrow of the level -> share of the gradient that flows through it.
  function flows() {
    const through = new Map();
    if (path) {
      for (const j of path.arrows) {
        if (edgeOf[j] !== undefined) through.set(edgeOf[j], path.share);
      }
    } else if (followed) {
      for (const [j, share] of Object.entries(followed.shares)) {
        if (edgeOf[j] === undefined || copied[j]) continue;
        through.set(edgeOf[j], (through.get(edgeOf[j]) ?? 0) + share);
      }
    }
    return through;
  }

  function drawTrace() {
    for (const [el, it] of listed) el.setAttribute("aria-pressed", it === followed || it === path);
    for (const el of stage.querySelectorAll(".on")) el.classList.remove("on", "against");
    marks.replaceChildren();
    world.classList.toggle("tracing", !!followed);
    $("inputs").classList.toggle("said", !!followed);
    if (!followed) return;
    const start = shapes.get(stand(followed.id));
    const through = [...flows()].filter(([e]) => edges[e]).map(([e, share]) => {
      const ends = data.levels[level].arrows[e].map((id) => shapes.get(id));
      return { el: edges[e], ends, share, label: shareLabel(edges[e], ends, share) };
    });
    start?.el.classList.add("on");
    for (const { el, ends, share, label } of through) {
      const size = Math.min(1, Math.abs(share));
      el.classList.add("on");
      el.classList.toggle("against", share < 0);
      el.style.setProperty("--width", 1 + 5 * size);
      el.style.setProperty("--strength", 0.45 + 0.55 * size);
      for (const end of ends) end.el.classList.add("on");
      marks.append(label);
    }
  }

  // Above or below the middle of the arrow, where it is on neither its boxes nor its partial.
  function shareLabel(el, ends, share) {
    const line = el.querySelector("path");
    const middle = line.getPointAtLength(line.getTotalLength() / 2);
    const text = percent(share);
    const width = 7.5 * text.length;
    const taken = [...el.querySelectorAll("text"), ...ends.map((end) => end.frame)]
      .map((other) => other.getBBox());
    const free = (y) => taken.every((box) =>
      middle.x + width / 2 < box.x || middle.x - width / 2 > box.x + box.width ||
      y < box.y || y - 12 > box.y + box.height);
    const y = [-5, 14, -14, 23, -23].map((dy) => middle.y + dy).find(free) ?? middle.y - 5;
    return draw("text", { x: middle.x, y, class: share < 0 ? "share against" : "share" }, text);
  }

  // --- the sweeps --------------------------------------------------------------------------------

  let step = 0;
  let timer = null;
  const SWEEPS = ["forward", "reverse"];
  const NAMES = { forward: "Forward mode", reverse: "Reverse mode" };
  const panes = {}; // mode -> {lines, operations, bytes}
  const due = { value: new Map(), tangent: new Map(), gradient: new Map() }; // id -> its step

  const bytes = (n) => {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let i = 0;
    for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
    return `${i ? n.toPrecision(3) : n} ${units[i]}`;
  };
  const WORDS = { operations: (n) => n.toLocaleString("en"), bytes };

  function prepareSteps() {
    document.body.classList.add("steps");
    $("timeline").hidden = false;
    $("slider").max = timeline.steps.length;
    world.classList.add("stepping");
    timeline.steps.forEach(({ done }, i) => {
      for (const [what, map] of Object.entries(due)) {
        for (const id of done[what] ?? []) if (!map.has(id)) map.set(id, i);
      }
    });
    for (const mode of SWEEPS) $("modes").append(modePane(mode));
    timeline.steps.forEach(({ say: text }) => $("step-list").append(make("li", {}, text)));
    $("all-steps").hidden = false;
  }

  function modePane(mode) {
    const pane = (panes[mode] = {});
    const counters = Object.keys(WORDS).map((what) => {
      pane[what] = { number: make("b"), bar: make("i") };
      return make("div", { className: "counter" },
        make("span", { textContent: what === "bytes" ? "bytes held" : what }),
        make("span", { className: "bar" }, pane[what].bar), pane[what].number);
    });
    pane.lines = timeline.programs[mode].map((text) => make("li", { textContent: text || " " }));
    pane.program = make("ol", { className: "program", tabIndex: 0 }, ...pane.lines);
    pane.program.setAttribute("aria-label", `${NAMES[mode]}: the program`);
    const title = make("h2", { textContent: NAMES[mode] });
    return make("section", { className: `mode sweep-${mode}` }, title, ...counters, pane.program);
  }

  // One scale for both modes.
  const most = (what) => {
    let top = 1;
    for (const { counters } of timeline.steps) {
      for (const mode of SWEEPS) top = Math.max(top, counters[mode][what]);
    }
    return top;
  };
  const tops = timeline && { operations: most("operations"), bytes: most("bytes") };

  // Shape -> the step with which all that it stands for is known.
  function dueHere(map, otherwise) {
    const here = new Map();
    for (const id of Object.keys(items)) {
      const shown = stand(id);
      if (shown !== null) {
        here.set(shown, Math.max(here.get(shown) ?? 0, map.get(id) ?? otherwise));
      }
    }
    return here;
  }
  let known = { level: -1 };

  function showStep(index) {
    step = Math.max(0, Math.min(timeline.steps.length - 1, index));
    const now = timeline.steps[step];
    if (known.level !== level) {
      // What no step makes known is there from the start; derivatives at the end.
      const end = timeline.steps.length - 1;
      const of = (what) => dueHere(due[what], what === "value" ? 0 : end);
      known = { level, value: of("value"), tangent: of("tangent"), gradient: of("gradient") };
    }
    for (const [id, { el, open }] of shapes) {
      if (open) continue;
      for (const what of Object.keys(due)) {
        el.classList.toggle(`has-${what}`, (known[what].get(id) ?? 0) <= step);
      }
    }
    for (const el of stage.querySelectorAll(".active, .used")) {
      el.classList.remove("active", "used");
    }
    timeline.steps.slice(0, step + 1).forEach(({ arrows }) => markArrows(arrows, "used"));
    markArrows(now.arrows, "active");
    const shape = shapes.get(stand(now.id));
    shape?.el.classList.add("active");
    if (shape) reveal(shape);
    for (const mode of SWEEPS) {
      world.classList.toggle(`sweep-${mode}`, mode === now.phase);
      showMode(panes[mode], now.lines[mode], now.counters[mode]);
    }
    showControls(now);
  }

  function markArrows(arrows, mark) {
    for (const j of arrows) edges[edgeOf[j]]?.classList.add(mark);
  }

  function showMode(pane, lines, counters) {
    for (const [what, words] of Object.entries(WORDS)) {
      pane[what].number.textContent = words(counters[what]);
      pane[what].bar.style.width = `${(100 * counters[what]) / tops[what]}%`;
    }
    pane.lines.forEach((line) => line.removeAttribute("aria-current"));
    for (const i of lines) pane.lines[i]?.setAttribute("aria-current", "step");
    const [line] = lines.map((i) => pane.lines[i]);
    if (line) pane.program.scrollTop = line.offsetTop - pane.program.clientHeight / 2 + 10;
  }

  function showControls(now) {
    const count = timeline.steps.length;
    const where = `step ${step + 1} of ${count} – ${now.phase} sweep`;
    $("where").textContent = where;
    $("slider").value = step + 1;
    $("slider").setAttribute("aria-valuetext", where);
    $("say").textContent = now.say;
    $("first").disabled = $("back").disabled = step === 0;
    $("last").disabled = $("forward").disabled = step === count - 1;
    $("step-list").querySelector("[aria-current]")?.removeAttribute("aria-current");
    $("step-list").children[step].setAttribute("aria-current", "step");
  }

  function play(on) {
    clearInterval(timer);
    timer = null;
    if (on) {
      if (step === timeline.steps.length - 1) showStep(0);
      timer = setInterval(() => {
        showStep(step + 1);
        if (step === timeline.steps.length - 1) play(false);
      }, 1400 / $("speed").value);
    }
    $("play").setAttribute("aria-pressed", !!timer);
    $("play").setAttribute("aria-label", timer ? "Pause" : "Play");
  }
  function go(index) {
    play(false);
    showStep(index);
  }

  if (timeline) {
    prepareSteps();
    $("first").addEventListener("click", () => go(0));
    $("back").addEventListener("click", () => go(step - 1));
    $("forward").addEventListener("click", () => go(step + 1));
    $("last").addEventListener("click", () => go(timeline.steps.length - 1));
    $("play").addEventListener("click", () => play(!timer));
    $("speed").addEventListener("change", () => timer && play(true));
    $("slider").addEventListener("input", () => go(Number($("slider").value) - 1));
    $("step-list").addEventListener("click", (event) => {
      const i = [...$("step-list").children].indexOf(event.target.closest("li"));
      if (i >= 0) go(i);
    });
    let before; // what is printed is the end
    addEventListener("beforeprint", () => {
      before = step;
      go(timeline.steps.length - 1);
      $("all-steps").open = true;
    });
    addEventListener("afterprint", () => go(before));
  }

  // --- keys and buttons --------------------------------------------------------------------------

  const STEP = 60;
  const graphKeys = {
    "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(0.8), "0": () => fit(true),
    ArrowLeft: () => pan(STEP, 0, true), ArrowRight: () => pan(-STEP, 0, true),
    ArrowUp: () => pan(0, STEP, true), ArrowDown: () => pan(0, -STEP, true),
  };
  const stepKeys = {
    " ": () => play(!timer), ArrowLeft: () => go(step - 1), ArrowRight: () => go(step + 1),
    Home: () => go(0), End: () => go(timeline.steps.length - 1),
  };
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === "Escape") return clear();
    const id = stage.contains(target) && idAt(target);
    let act;
    if (id && (key === "Enter" || key === " ")) act = () => press(id);
    else if (stage.contains(target)) act = graphKeys[key];
    else if (timeline && !target.closest("input, select, summary, .program")) {
      if (key !== " " || !target.closest("button")) act = stepKeys[key];
    }
    if (!act) return;
    event.preventDefault();
    act();
  });
  $("zoom-in").addEventListener("click", () => zoom(1.25));
  $("zoom-out").addEventListener("click", () => zoom(0.8));
  $("fit").addEventListener("click", () => fit(true));
  $("panel").addEventListener("click", () => {
    const wide = document.body.classList.toggle("wide");
    $("panel").setAttribute("aria-expanded", !wide);
  });

  showLevel(level);
  showDetails(null);
  begin();
})();
