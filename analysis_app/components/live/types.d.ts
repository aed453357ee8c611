// What the Live tab is told: analysis_app/steering/status.py and cursor.py, server/websocket.py.

declare namespace Lab {
  type Control = { available: boolean; commands: string[]; reason: string | null };
  /** Times are Unix seconds, durations seconds. `control`: what the run can be told to do now. */
  type Status = { state: string; recorded_state: string | null; reason: string | null; message: string | null;
    active: boolean; step: number | null; total_steps: number | null; tokens: number | null;
    tokens_per_second: number | null; eta_seconds: number | null; elapsed_seconds: number | null;
    heartbeat_age: number | null; since: number | null; lr_scale: number | null; control: Control;
    checkpoint: { step: number; wall: number; kind: string } | null; resume: string | null;
    start: { log: string[] } | null };
  /** What does not change while a run trains. */
  type Facts = { baselines?: { nats_per_token?: Record<string, number | null> } | null; bytes_per_token?: number | null;
    corpus?: string | null; tokenizer?: string | null; parameters?: number | null; clip?: number | null;
    memory_total?: number | null; seams?: Seam[]; metrics?: Record<string, { unit: string; how_to_read: string }> };
  /** Where settings were changed in the middle of a run; `changed` in words. */
  type Seam = { step: number; tokens: number; changed: string };
  /** A line of events.jsonl; what it holds besides depends on its kind (lab/runs/events.py). */
  type RunEvent = { kind: string; step: number | null; wall: number; id?: string; command?: string;
    args?: { value?: number }; reason?: string; message?: string | null; error?: string; instrument?: string;
    seconds?: number | null; best?: boolean; checkpoint_kind?: string; rewound_from?: number; to?: number;
    lr_scale?: number | null; rule?: string; level?: string; what?: string; why?: string; since?: number;
    metric?: string | null; value?: number | null; threshold?: number | null; try?: string[] | string; source?: string;
    look?: string };
  type Sample = { step: number; wall: number; prompt?: string | null; text: string;
    longest_copy?: { tokens: number; text: string } | null };
  /** By metric, and `step`, `tokens`, `time`; the rows of all are the same. */
  type Columns = { step?: number[] } & Record<string, (number | null)[]>;
  /** What stopped a run and what is left of it; `log`: the last lines its process wrote. */
  type Trouble = { tone: string; title: string; text: string; resume: string | null; log?: string[] };

  /** Messages of the WebSocket by their type; `cursor` is where the client stands once it has taken them in. */
  type Messages = { hello: { status: Status; facts: Facts | null; reset: boolean }; metrics: { columns: Columns };
    rewind: { step: number }; events: { events: RunEvent[] }; samples: { samples: Sample[] };
    status: { status: Status }; error: { reason: string } };
  type MessageHandlers = { [Type in keyof Messages]?: (message: Messages[Type]) => void };

  // ------------------------------------------------------------ starting a run (steering/start_form.py)

  type Setting = { flag: string; what: string; kind: string; least: number; most: number; choices: string[] };
  type Configuration = { name: string; about: string;
    settings: { data?: { corpus?: string; batch_size?: number }; model?: { optimizer?: { lr?: number } };
      horizon?: { steps?: number; minutes?: number }; seed_everything?: number } };
  type StartOptions = { configurations: Configuration[]; settings: Record<string, Setting>; files: string[];
    presets: { name: string; n_layers: number; d_model: number }[] };
  type Plan = { parameters: { total: number }; vocab_size: number | null; tokens_per_step: number; n_layers: number;
    n_heads: number; d_model: number; context_length: number; horizon: { minutes?: number | null };
    tokens: number | null; flops: number | null; memory: { peak: number }; disk: Record<string, number> };
  type Estimate = { value: number; low: number; high: number; method: string };
  type Forecasts = { minutes: Estimate; peak_memory_bytes: Estimate; final_val_loss?: Estimate | null };
}
