// GLSL of the viewer. Pixel values stay unsigned 16-bit integers until they have been interpolated.
//
// Drawing has two steps, so that window/level (which is dragged) costs one fetch per screen pixel:
//   RESAMPLE  image pyramid -> one float value per screen pixel (bits in an R32UI texture); runs when geometry changes
//   TONE      that value -> VOI -> inversion -> heatmap -> screen; runs when anything changes
// LENS does both at once inside a circle, for the magnifier.

/** One triangle that covers the viewport. */
export const VERTEX = `#version 300 es
void main() {
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`;

const HEADER = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
`;

// A level of the pyramid: rounded integer mean of the (up to) four pixels below, of which padding takes no part.
// Where most of them are padding so is the result; a mean that happens to fall into the padding range steps out of it.
export const PYRAMID = `${HEADER}
uniform usampler2D below;
uniform uvec2 padding;
out uint mean;
void main() {
  ivec2 size = textureSize(below, 0);
  ivec2 corner = ivec2(gl_FragCoord.xy) * 2;
  uint sum = 0u, count = 0u, present = 0u;
  for (int i = 0; i < 4; i++) {
    ivec2 at = corner + ivec2(i & 1, i >> 1);
    if (at.x >= size.x || at.y >= size.y) continue;
    uint value = texelFetch(below, at, 0).r;
    present++;
    if (value < padding.x || value > padding.y) { sum += value; count++; }
  }
  if (count * 2u < present) { mean = padding.x; return; }
  mean = (sum + count / 2u) / count;
  if (mean >= padding.x && mean <= padding.y) mean = padding.x > 0u ? padding.x - 1u : padding.y + 1u;
}`;

// value (interpolated, in stored units) and whether there is any: padding and the outside of the image have none.
const SAMPLING = `
uniform usampler2D fine, coarse;     // pyramid levels on either side of the wanted resolution
uniform vec2 fineScale, coarseScale; // full-resolution pixels per texel of each
uniform float blend;                 // 0 = fine alone
uniform vec2 size;                   // image columns, rows
uniform vec2 origin, zoom;           // canvas position of the image's corner; canvas pixels per image pixel
uniform float canvasHeight;
uniform uvec2 padding;

vec2 imagePoint() { return (vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y) - origin) / zoom; }
vec2 tap(usampler2D level, ivec2 at, ivec2 last) {
  uint value = texelFetch(level, clamp(at, ivec2(0), last), 0).r;
  return value >= padding.x && value <= padding.y ? vec2(0.0) : vec2(float(value), 1.0);
}
vec2 bilinear(usampler2D level, vec2 at) {
  ivec2 last = textureSize(level, 0) - 1;
  vec2 texel = at - 0.5;
  ivec2 corner = ivec2(floor(texel));
  vec2 part = texel - vec2(corner);
  return mix(mix(tap(level, corner, last), tap(level, corner + ivec2(1, 0), last), part.x),
             mix(tap(level, corner + ivec2(0, 1), last), tap(level, corner + ivec2(1, 1), last), part.x), part.y);
}
bool sampleImage(out float value) {
  vec2 at = imagePoint();
  if (any(lessThan(at, vec2(0.0))) || any(greaterThanEqual(at, size))) return false;
  vec2 found = bilinear(fine, at / fineScale);
  if (blend > 0.0) found = mix(found, bilinear(coarse, at / coarseScale), blend);
  if (found.y < 0.5) return false;
  value = found.x / found.y;
  return true;
}
`;

// VOI with slope and intercept folded in (see voi.js), inversion, then the heatmap over it.
const TONING = `
uniform int curve;                   // 0 line, 1 sigmoid, 2 table
uniform vec2 transform;              // argument of the curve = stored value * x + y
uniform usampler2D table;            // VOI LUT, 256 entries to a row
uniform float tableLast, tableWhite; // index of its last entry; entry that is shown white
uniform bool inverted;
uniform bool heatShown;
uniform sampler2D heat, heatColours;
uniform vec3 heatLook;               // opacity, threshold, gain

float entry(int index) { return float(texelFetch(table, ivec2(index & 255, index >> 8), 0).r); }
float displayValue(float stored) {
  float at = stored * transform.x + transform.y;
  float grey;
  if (curve == 0) grey = clamp(at, 0.0, 1.0);
  else if (curve == 1) grey = 1.0 / (1.0 + exp(-at));
  else {
    float index = clamp(at, 0.0, tableLast);
    int low = int(floor(index));
    grey = clamp(mix(entry(low), entry(min(low + 1, int(tableLast))), index - float(low)) / tableWhite, 0.0, 1.0);
  }
  return inverted ? 1.0 - grey : grey;
}
// Nothing below the threshold, the full opacity from 0.1 above it on: tissue stays visible at the rim.
vec3 underHeat(vec3 grey, vec2 place) {
  float level = clamp(texture(heat, place).r * heatLook.z, 0.0, 1.0);
  float cover = heatLook.x * smoothstep(heatLook.y, heatLook.y + 0.1, level);
  if (level <= 0.0 || cover <= 0.0) return grey;
  return mix(grey, texelFetch(heatColours, ivec2(int(level * 255.0 + 0.5), 0), 0).rgb, cover);
}
`;

export const RESAMPLE = `${HEADER}${SAMPLING}
out uint bits;
void main() {
  float value;
  bits = sampleImage(value) ? floatBitsToUint(value) : 0xffffffffu;
}`;

export const TONE = `${HEADER}
uniform usampler2D resampled;
uniform vec2 size, origin, zoom;
uniform float canvasHeight;
vec2 imagePoint() { return (vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y) - origin) / zoom; }
${TONING}
out vec4 colour;
void main() {
  uint bits = texelFetch(resampled, ivec2(gl_FragCoord.xy), 0).r;
  if (bits == 0xffffffffu) { colour = vec4(0.0, 0.0, 0.0, 1.0); return; }
  vec3 grey = vec3(displayValue(uintBitsToFloat(bits)));
  colour = vec4(heatShown ? underHeat(grey, imagePoint() / size) : grey, 1.0);
}`;

export const LENS = `${HEADER}${SAMPLING}${TONING}
uniform vec3 glass;                  // centre in canvas pixels from the top left, radius
out vec4 colour;
void main() {
  float away = distance(vec2(gl_FragCoord.x, canvasHeight - gl_FragCoord.y), glass.xy);
  if (away > glass.z) discard;
  float rim = smoothstep(glass.z - 2.5, glass.z - 1.5, away);
  float value;
  vec3 shown = vec3(0.0);
  if (sampleImage(value)) {
    shown = vec3(displayValue(value));
    if (heatShown) shown = underHeat(shown, imagePoint() / size);
  }
  colour = vec4(mix(shown, vec3(0.62, 0.74, 0.86), rim), 1.0);
}`;
