// What the components share, for the type check alone: no browser loads this file. In JSDoc: `@param {Lab.View} view`.

declare namespace Lab {
  // ------------------------------------------------------------ the selection (lib/store.js)

  type Selection = { run: string | null; step: number | null; compare: string | null; text: string | null;
    layer: number; head: number; token: number | null; part: string | null; tab: string };
  /** What the mouse previews; a panel may preview other things under names of its own. */
  type Hover = { layer?: number | null; head?: number | null; token?: number | null; key?: number | null };
  /** `kind`: "run", or "folder" for a published model. */
  type Run = { name: string; kind: string; state: string; step: number | null; total_steps: number | null;
    tokens: number | null; losses: Record<string, number | null>; minutes: number | null };
  type Weights = { file: string; step: number | null; kind: string; tokens: number | null; train_loss: number | null;
    val_loss: number | null; val_subset_loss?: number | null; probe_loss: number | null; wall: number | null;
    size: number; sha256: string; aliases: string[]; problem: string | null };
  type Model = { n_layers: number; n_heads: number; d_model: number; d_mlp: number; context_length: number;
    vocab_size: number; n_parameters: number; tokenizer: string; default_text: string };
  /** What the server says of the selected run. */
  type Info = { runs: Run[]; weights: Weights[]; steps: number[]; model: Model | null; notes: string[];
    problem: string | null };
  type State = { selection: Selection; hover: Hover; headLocked: boolean; info: Info | null; failure: Error | null;
    opening: boolean };
  /** A run that was started here and came to nothing, with the last lines of its process. */
  type FailedStart = { run: string; wall: number; reason: string; log: string[] };
  /**
   * Names of what changed: fields of the selection, "hover", "lock", "info", "opening", "option", "notes"; and what is
   * pushed: "runs", "weights", "link", "anew".
   */
  type Changed = Set<string>;

  // ------------------------------------------------------------ a panel (lib/panel.js)

  /** Kind of analysis, what it is asked with, and "long" where it tells how far it is. */
  type Question = [kind: string, body: Record<string, any>, long?: "long"];
  type Missing = { empty: string; action: [label: string, act: () => void] };
  type Ask = (kind: string, body: Record<string, any>) => Promise<any>;

  interface View {
    /** What to ask for; a sentence (or one with a button) where something is missing. */
    request(selection: Selection): Question[] | string | Missing;
    /** New numbers, in the order of the questions; where it is left out they are drawn. */
    show?(...answers: any[]): void;
    /** Draws the numbers: new ones, and again at another size or theme. */
    draw?(...answers: any[]): void;
    /** What is drawn anew when one of these changes. */
    redraws?: string[];
    /** The same numbers, another selection, and nothing that redraws. */
    update?(changed: Changed): void;
    /** The answer, where it does not come from an analysis. */
    ask?: Ask;
    /** What is exported as JSON; by default the answers. */
    numbers?(): unknown;
    /** Whether the panel also works where the run has no weights. */
    anyModel?: boolean;
  }

  type Panel = { root: HTMLElement; body: HTMLElement; refresh: () => void; redraw: () => void };

  // ------------------------------------------------------------ elements (lib/dom.js)

  type Handlers = {
    [K in keyof HTMLElementEventMap as `on${K}`]?: ((event: HTMLElementEventMap[K]) => unknown) | null;
  };
  type Attributes = Handlers & { style?: Record<string, string | number>; data?: Record<string, unknown> } & {
    [name: string]: unknown;
  };
  type Child = Node | string | null | undefined;
  /** What is read at a place: its name and its value. */
  type Row = [name: string, value: string];

  // ------------------------------------------------------------ drawing (lib/colour.js, lib/canvas.js)

  /** Magnitudes, losses, differences (the middle is none). */
  type Palette = "seq" | "warm" | "div";
  type Context = CanvasRenderingContext2D;
  /** A colour: the place of a value in 0 … 1 on a palette. */
  type Shade = [palette: Palette, value: number];

  // ------------------------------------------------------------ numbers as they travel

  /** An array, row by row; `shape` says its axes. */
  type Numbers<Data = Float32Array> = { shape: number[]; data: Data };
  type Source = { run: string; step: number | null; tokens: string[]; ids: number[] };
  /** `top`: what the strongest colour stands for; by default the largest value, or 1. */
  type Score = { name: string; explanation: string; values: Numbers; errors?: Numbers | null; chance: number | null;
    top?: number };
  /** `patterns`: [layer, head, query, key], bytes in square-root steps (lib/patterns.js). */
  type AttentionView = { source: Source; layer: number | null; head: number | null; patterns: Numbers<Uint8Array>;
    scores: Score[]; period: number | null };
  type RowView = { source: Source; layer: number; head: number; query: number; d_head: number; dot_products: Numbers;
    scores: Numbers; exponentials: Numbers; total: number; pattern: Numbers };
  /** heads, zero_heads: [layer, head]; mean_over: tokens whose mean takes a part's place, 0: a zero. */
  type AblationView = { source: Source; loss: number; mean_over: number; heads: Numbers; mlps: Numbers;
    zero_heads: Numbers; zero_mlps: Numbers; validation: AblationOverValidation | null };
  type AblationOverValidation = { pieces: number; loss: number; heads: Numbers; mlps: Numbers; head_errors: Numbers;
    mlp_errors: Numbers };
  /** norms, cosines: [quantity, layer, pos]; head_norms: [layer, head, pos]; counts: [site, edge + 1]. */
  type ActivationView = { source: Source; layer: number | null; head: number | null; quantities: string[];
    norms: Numbers; cosine_names: string[]; cosines: Numbers; head_norms: Numbers; dead_share: Numbers;
    saturated_share: Numbers; sites: string[]; edges: Numbers; counts: Numbers; minimum: Numbers; maximum: Numbers };
  /** top_probabilities: [row, pos, k]; target_loss, target_rank: [row, pos - 1]; kl_to_final: [row, pos]. */
  type Lens = { rows: string[]; top_tokens: string[][][]; top_probabilities: Numbers; target_loss: Numbers;
    target_rank: Numbers; kl_to_final: Numbers };
  /** values: [part, pos]; targets, logits: [pos]. */
  type AttributionView = { parts: string[]; values: Numbers; targets: string[]; logits: Numbers; error: number };
  /** loss, probability, rank: [pos - 1]; top_tokens: [pos][k]; top_probabilities: [pos, k]. */
  type PredictionView = { source: Source; layer: number | null; head: number | null; uniform_loss: number;
    mean_loss: number | null; loss: Numbers; probability: Numbers; rank: Numbers; top_tokens: string[][];
    top_probabilities: Numbers; lens: Lens; attribution: AttributionView | null; attribution_missing: string | null };
  type NextView = { source: Source; position: number; logits: Numbers; ids: number[]; tokens: string[] };
  /** loss: [pos + 1] or [pos] tokens; entry t of `loss` is for token t + 1; counts: whether a token is a target. */
  type BatchSequence = { index: number; micro_batch: number; tokens: string[]; ids: number[]; counts: boolean[];
    loss: Numbers | null; mean_loss: number | null };
  type BatchView = { run: string; batch: number; step: number | null; steps: number[]; recorded_loss: number | null;
    mean_loss: number | null; uniform_loss: number; epoch: number | null; context_length: number; n_sequences: number;
    first: number; sequences: BatchSequence[]; notes: string[] };
  /** points: [point, 2]; extent: how far from the middle the last snapshot reaches. */
  type EmbeddingView = { run: string; step: number | null; fitted_step: number | null; ids: number[]; tokens: string[];
    kinds: string[]; counts: number[]; points: Numbers; explained: Numbers; extent: number; vocab_size: number;
    tied: boolean };
  type NeighbourView = { run: string; step: number | null; id: number; token: string; ids: number[]; tokens: string[];
    cosines: number[] };
  /** activation: [pos]; strongest, strongest_values: [k]. */
  type NeuronView = { source: Source; layer: number; unit: number; n_units: number; activation: Numbers;
    position: number | null; strongest: Numbers; strongest_values: Numbers };
  type ExamplesView = { run: string; step: number | null; layer: number; unit: number; n_tokens: number;
    on_rate: number; examples: { value: number; tokens: string[]; at: number; position: number }[] };
  /** restored: [layer, pos], 0: no change, 1: the first text's answer is back. */
  type PatchingView = { source: Source; other: Source; site: string; answer: string; wrong: string | null;
    metric: string; clean: number; corrupt: number; restored: Numbers };
  /** loss, error: [pos - 1]. */
  type PositionLoss = { run: string; step: number | null; loss: Numbers; error: Numbers; pieces: number;
    in_context: number | null };
  /** values: [place, step]. */
  type NormsView = { run: string; places: string[]; steps: number[];
    measures: { name: string; unit: string; formula: string; how_to_read: string; values: Numbers }[] };
  type Reproduction = { run: string; step: number | null; recorded: number | null; computed: number | null;
    reproduces: boolean | null; explanation: string };
  /** norms: [pos]; dims: which numbers `picture` [dim, pos] shows. */
  type PartNumbers = { mean: number; std: number; minimum: number; maximum: number; norms: Numbers; dims: number[];
    picture: Numbers };
  type CodePlace = { name: string; file: string; line: number };
  type AnatomyPart = { key: string; layer: number | null; lane: string;
    words: { title: string; gist: string; words: string; formula: string }; shape: number[]; axes: string[];
    n_parameters: number; weights: [name: string, shape: number[]][]; site: string | null; code: CodePlace[];
    numbers: PartNumbers | null };
  /** top_tokens: [pos][k]; top_logits, top_probabilities: [pos, k]. */
  type AnatomyView = { source: Source; text: string; parts: AnatomyPart[]; n_parameters: number; n_layers: number;
    n_heads: number; top_tokens: string[][]; top_logits: Numbers; top_probabilities: Numbers };
  type AnatomyStep = { title: string; site: string | null; shape: number[]; axes: string[]; head: number | null;
    square: boolean; numbers: PartNumbers };
  /** A token that was drawn, and what else the model might have said. */
  type Written = { id: number; label: string; text: string; probability: number | null; chance: number | null;
    alternatives: { id: number; label: string; probability: number }[] };
  /** A run among others: at_common: losses where all have seen as many tokens; problem: what of it is missing. */
  type RunLine = { name: string; state: string; step: number | null; tokens: number | null; minutes: number | null;
    parameters: number | null; flops_per_token: number | null; at_common: Record<string, number | null>;
    curve: CurveColumns; problem: string | null; cursor: string };
  type OverlayView = { metric: string; unit: string; how_to_read: string; metrics: string[];
    common_tokens: number | null; runs: RunLine[]; differences: [setting: string, values: Record<string, string>][] };
  type BrokenCurves = Record<string, [steps: number[], values: number[]]>;
  type Finding = { rule: string; level: string; step: number; what: string; metric: string | null; value: number | null;
    threshold: number | null };
  /** What the diagnosis quiz asks, and what it answers after the guess. */
  type QuizQuestion = { number: number; choices: { id: string; cause: string }[]; total_steps: number;
    facts: Record<string, number | null>; lines: Record<string, number>; curves: BrokenCurves };
  type QuizSolution = { right: boolean; name: string; cause: string; rule: string; why: string; tries: string[];
    evidence: BrokenCurves; findings: Finding[]; comment: string; command: string; twin: BrokenCurves;
    score: { guessed: (boolean | null)[] } };

  // ------------------------------------------------------------ one text through the run (lib/frame_player.js)

  /** Before the first frame. `ready`: frames follow; else they have to be computed, which `compute` asks for. */
  type PlayerStart = { origin: "probe" | "computed"; ready: boolean; tokens: string[]; ids: number[]; steps: number[];
    score_names: string[]; score_explanations: string[]; score_chance: (number | null)[]; period: number | null;
    uniform_loss: number; probe_texts: string[]; notes: string[] };
  /** token_loss: [pos - 1]; scores: [score, layer, head]; `view`: what the panels of the Attention tab show. */
  type Frame = { step: number; patterns: Numbers<Uint8Array>; token_loss: Numbers; scores: Numbers;
    view: AttentionView };
  type TimelineView = { curves: Record<string, CurveColumns>;
    landmarks: { name: string; step: number; why: string }[] };

  // ------------------------------------------------------------ curves (lib/series.js, lib/chart.js)

  type Series = import("./lib/series.js").Series;
  /** A curve as the server sends it. */
  type CurveColumns = { step: Numbers; tokens: Numbers; minutes: Numbers; value: Numbers };
  type Axis = "step" | "tokens" | "time";
  type Curve = { name: string; data: Series; band?: Series; colour?: string; style?: "smooth" | "line" | "dots";
    unit?: string; format?: (x: number) => string };
  /** A reference line. */
  type Line = { value: number; label: string; colour?: string };
  type Marker = { step: number; tokens: number; time: number; kind: string; title?: string; rows?: Row[];
    [more: string]: any };
  type Range = [low: number, high: number];
  /** What lib/chart.js explains at its top. */
  type ChartOptions = { label: string; unit: string; series: Curve[]; lines: Line[]; markers: Marker[]; x: Axis;
    xName: string | null; logX: boolean; logY: boolean; smoothing: number; height: number; group: ChartGroup | null;
    cursor: number | null; range: Range | null; pick: ((x: number) => void) | null;
    onMarker: ((marker: Marker) => void) | null; empty: string };
  type Chart = import("./lib/chart.js").LineChart;
  /** What shares crosshair and zoom with charts. */
  type ChartPart = { root: HTMLElement; redraw(): void; crosshair(): void };
  type ChartGroup = { charts: Set<ChartPart>; at: number | null; zoom: Range | null };
  /** From numbers to pixels. */
  type Scale = ((value: number) => number) & { invert(pixel: number): number; low: number; high: number; log: boolean;
    shift: number };
  type Axes = { left: number; right: number; top: number; bottom: number; x: Axis; across: Scale; up: Scale };
  /** Pixels dragged over; `tall`: a box, not only a part of x. */
  type Drag = { from: [x: number, y: number]; to: [x: number, y: number]; moved: boolean; tall: boolean };
}
