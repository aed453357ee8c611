// What the places along the residual stream are called, the same in every panel and in the order of the computation.

/** @type {Record<string, string>} */
export const SITE_NAMES = {
  resid_pre: "stream before attention",
  attn_out: "attention adds",
  resid_mid: "stream after attention",
  mlp_out: "MLP adds",
  resid_post: "stream after the MLP",
};
