// Shaders of the surface and of its maps. A point carries (value, slope x, slope y, known) for two frames, which are blended; any
// monotone height scale then gives true normals by the chain rule, so linear and logarithmic heights morph freely.

const COMMON = /* glsl */ `
precision highp float;
uniform float uLow, uHigh, uLinearThreshold, uMorph, uBlend, uHeight, uBase;
uniform int uCurve;
float transform(float v) { return uCurve == 0 ? log(max(v, 1e-30)) : asinh(v / uLinearThreshold); }
float transformedSlope(float v) { return uCurve == 0 ? 1.0 / max(v, 1e-30) : inversesqrt(v * v + uLinearThreshold * uLinearThreshold); }
float linearShare(float v) { return (v - uLow) / (uHigh - uLow); }
float transformedShare(float transformed) { float low = transform(uLow); return (transformed - low) / (transform(uHigh) - low); }
float shareOf(float v, float transformed) { return mix(linearShare(v), transformedShare(transformed), uMorph); }
float slopeOfShare(float v) {
  return mix(1.0 / (uHigh - uLow), transformedSlope(v) / (transform(uHigh) - transform(uLow)), uMorph);
}
`;

const COLOR = /* glsl */ `
uniform sampler2D uColors;
uniform vec2 uColorRange;
uniform float uStepLinear, uStepLog, uContours, uPixel, uClip, uHoverOn, uHoverValue, uInk;
uniform vec2 uHover;
uniform vec3 uInkColor, uUnknownColor;
vec3 colorAt(float share) {
  float s = clamp((share - uColorRange.x) / (uColorRange.y - uColorRange.x), 0.0, 1.0);
  return texture(uColors, vec2((s * 255.0 + 0.5) / 256.0, 0.5)).rgb;
}
// Lines at whole numbers of f, of constant width in pixels; they fade where they would crowd (else far slopes turn black).
float lines(float f, float halfWidth) {
  float d = max(fwidth(f), 1e-7);
  float g = abs(fract(f - 0.5) - 0.5) / d;
  // On a plateau at a level, only the rounding of the values crosses it: no line.
  return (1.0 - smoothstep(halfWidth - 0.5, halfWidth + 0.6, g)) * (1.0 - smoothstep(0.16, 0.42, d)) * smoothstep(5e-5, 2e-4, d);
}
float contourInk(float v, float transformed) {
  float step1 = lines(v / uStepLinear, 0.42 * uPixel) * 0.45 + lines(v / (5.0 * uStepLinear), 0.85 * uPixel) * 0.5;
  float step2 = lines(transformed / uStepLog, 0.42 * uPixel) * 0.45 + lines(transformed / (5.0 * uStepLog), 0.85 * uPixel) * 0.5;
  return min(mix(step1, step2, uMorph), 0.85) * uContours;
}
float near(float x, float at, float width) {
  float d = max(fwidth(x), 1e-7);
  return 1.0 - smoothstep(width - 0.6, width + 0.6, abs(x - at) / d);
}
float hatch(vec2 pixel) { return 1.0 - smoothstep(0.5, 1.3, abs(fract((pixel.x + pixel.y) / (8.0 * uPixel)) - 0.5) * 8.0); }
vec3 marks(vec3 color, float share, vec2 xy, float strength) {
  float iso = near(share, uHoverValue, 1.0 * uPixel);
  float cross = max(near(xy.x, uHover.x, 0.75 * uPixel), near(xy.y, uHover.y, 0.75 * uPixel));
  float halo = near(share, uHoverValue, 2.2 * uPixel);
  color = mix(color, vec3(0.05, 0.07, 0.12), halo * 0.35 * uHoverOn * strength);
  color = mix(color, vec3(1.0), max(iso, cross * 0.55) * uHoverOn * strength);
  return color;
}
`;

export const surfaceVertex = /* glsl */ `${COMMON}
in vec4 f0, f1;
in vec2 q, ij;
uniform float uColorByHeight, uGain;
uniform float uShift;
out float vShare, vValue, vBent, vKnown, vColor;
out vec3 vNormal, vWorld;
out vec2 vIJ;
void main() {
  float v = mix(f0.x, f1.x, uBlend);
  vec2 g = mix(f0.yz, f1.yz, uBlend);
  vKnown = min(f0.w, f1.w);
  vValue = v;
  vBent = transform(v);
  vShare = shareOf(v, vBent);
  float chain = slopeOfShare(v) * uHeight;
  vNormal = vec3(-g * chain, 1.0);
  vColor = mix(mix(q.x, q.y, uBlend), vShare, uColorByHeight);
  vIJ = ij;
  vec3 p = vec3(position.xy, uBase + vShare * uHeight + uShift);
  vWorld = p;
  gl_Position = projectionMatrix * viewMatrix * vec4(p, 1.0);
}`;

export const surfaceFragment = /* glsl */ `${COMMON}${COLOR}
in float vShare, vValue, vBent, vKnown, vColor;
in vec3 vNormal, vWorld;
in vec2 vIJ;
uniform vec3 uLight, uEye, uTint, uMeshColor;
uniform float uTintShare, uOpacity, uMesh, uWire, uDark;
uniform vec2 uMeshStep;
out vec4 outColor;
void main() {
  if (vKnown < -0.001 || vShare > uClip) discard;
  float grid = max(lines(vIJ.x / uMeshStep.x, 0.5 * uPixel), lines(vIJ.y / uMeshStep.y, 0.5 * uPixel));
  if (uWire > 0.5 && grid < 0.25) discard;
  vec3 n = normalize(vNormal);
  vec3 toEye = normalize(uEye - vWorld);
  bool behind = dot(n, toEye) < 0.0;
  if (behind) n = -n;
  vec3 base = mix(colorAt(vColor), uTint, uTintShare);
  float diffuse = max(dot(n, uLight), 0.0);
  float sky = 0.5 + 0.5 * n.z;
  float shade = 0.50 + 0.16 * sky + 0.52 * diffuse;
  float gloss = pow(max(dot(n, normalize(uLight + toEye)), 0.0), 36.0) * 0.16;
  // Dark ends of a colormap would hide their relief: they get a little of the light itself.
  float dark = 1.0 - dot(base, vec3(0.3, 0.59, 0.11));
  vec3 color = base * shade + gloss + dark * dark * (0.16 * diffuse * diffuse + 0.03) * vec3(0.85, 0.93, 1.0);
  // Highlights bleach a little, shadows stay colored: the color scale stays readable.
  color = mix(color, color * color * (3.0 - 2.0 * color), 0.18);
  if (behind) color = color * 0.72;
  float ink = contourInk(vValue, vBent);
  color = mix(color, uInkColor, ink * uInk * (uWire > 0.5 ? 0.0 : 1.0));
  color = mix(color, uMeshColor, grid * uMesh * 0.42);
  float rim = (1.0 - smoothstep(0.0, 2.2 * uPixel, (uClip - vShare) / max(fwidth(vShare), 1e-7)));
  color = mix(color, base * 0.35, rim * 0.75);
  float unknown = 1.0 - clamp(vKnown, 0.0, 1.0);
  color = mix(color, mix(color, uUnknownColor, 0.35 + 0.25 * hatch(gl_FragCoord.xy)), unknown);
  color = marks(color, vShare, vWorld.xy, 1.0);
  if (uWire > 0.5) color = mix(color, base, 0.55);
  outColor = vec4(clamp(color, 0.0, 1.0), uOpacity);
}`;

export const mapVertex = /* glsl */ `
precision highp float;
in vec2 ij;
out vec2 vIJ, vXY;
uniform float uFloorZ;
void main() {
  vIJ = ij;
  vXY = position.xy;
  gl_Position = projectionMatrix * viewMatrix * vec4(position.xy, uFloorZ, 1.0);
}`;

export const mapFragment = /* glsl */ `${COMMON}${COLOR}
uniform highp sampler2D uFrame0, uFrame1, uQ;
uniform float uColorByHeight, uOpacity, uRelief, uFloor;
uniform vec3 uPaper;
in vec2 vIJ, vXY;
out vec4 outColor;
vec4 fetch(ivec2 p) { return mix(texelFetch(uFrame0, p, 0), texelFetch(uFrame1, p, 0), uBlend); }
void main() {
  ivec2 size = textureSize(uFrame0, 0);
  vec2 at = clamp(vIJ, vec2(0.0), vec2(float(size.y - 1), float(size.x - 1)));
  ivec2 cell = ivec2(min(floor(at), vec2(float(size.y - 2), float(size.x - 2))));
  vec2 s = at - vec2(cell);
  ivec2 p = cell.yx;
  vec4 low = mix(fetch(p), fetch(p + ivec2(1, 0)), s.y);
  vec4 high = mix(fetch(p + ivec2(0, 1)), fetch(p + ivec2(1, 1)), s.y);
  vec4 here = mix(low, high, s.x);
  if (here.w < -0.001) discard;
  float transformed = transform(here.x);
  float share = shareOf(here.x, transformed);
  float colored = share;
  if (uColorByHeight < 0.5) {
    vec2 c0 = mix(texelFetch(uQ, p, 0).rg, texelFetch(uQ, p + ivec2(1, 0), 0).rg, s.y);
    vec2 c1 = mix(texelFetch(uQ, p + ivec2(0, 1), 0).rg, texelFetch(uQ, p + ivec2(1, 1), 0).rg, s.y);
    vec2 c = mix(c0, c1, s.x);
    colored = mix(c.x, c.y, uBlend);
  }
  vec3 color = colorAt(colored);
  vec3 n = normalize(vec3(-here.yz * slopeOfShare(here.x) * uHeight, 1.0));
  color *= 1.0 + uRelief * (dot(n, normalize(vec3(-0.5, 0.55, 0.67))) - 0.67) ;
  if (share > uClip) color = mix(color, uPaper, 0.8 - 0.25 * hatch(gl_FragCoord.xy));
  color = mix(color, uInkColor, contourInk(here.x, transformed) * uInk * (share > uClip ? 0.25 : 1.0));
  float unknown = 1.0 - clamp(here.w, 0.0, 1.0);
  color = mix(color, mix(color, uUnknownColor, 0.3 + 0.4 * hatch(gl_FragCoord.xy)), unknown);
  color = mix(uPaper, color, uFloor);
  color = marks(color, share, vXY, 1.0);
  outColor = vec4(clamp(color, 0.0, 1.0), uOpacity);
}`;
