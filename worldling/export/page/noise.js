// Standard normal numbers from a seed and a frame's number, the same ones as in play_onnx.py.

const mixed = (x) => {
  x = Math.imul(x ^ (x >>> 15), 0x85EBCA77);
  x = Math.imul(x ^ (x >>> 13), 0xC2B2AE3D);
  return (x ^ (x >>> 16)) >>> 0;
};

// Return `count` numbers; seed, index: whole numbers from 0 to 2 ** 32 - 1.
export function noise(seed, index, count) {
  const from = (Math.imul(seed, 0x85EBCA77) + Math.imul(index, 0xC2B2AE3D) + 1) >>> 0;
  const uniform = (i) => (mixed((Math.imul(i, 0x9E3779B1) + from) >>> 0) + 0.5) / 2 ** 32;
  return Float32Array.from({ length: count }, (_, i) =>
    Math.sqrt(-2 * Math.log(uniform(i))) * Math.cos(2 * Math.PI * uniform(i + count)));
}
