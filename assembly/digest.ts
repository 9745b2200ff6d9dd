const C1: u32 = 0x239b961b;
const C2: u32 = 0xab0e9789;
const C3: u32 = 0x38b34ae5;
const C4: u32 = 0xa1e38b93;

/** The sum of the hashes of a table's lines: see src/snapshot/digest.ts, which does the same for texts. */
export class Digest {
  static a: u32 = 0;
  static b: u32 = 0;
  static c: u32 = 0;
  static d: u32 = 0;

  static begin(): void {
    Digest.a = 0;
    Digest.b = 0;
    Digest.c = 0;
    Digest.d = 0;
  }

  /** Adds the MurmurHash3 (x86, 128 bit, seed 0) of some bytes. */
  static add(start: usize, end: usize): void {
    const length = <u32>(end - start);
    let h1: u32 = 0;
    let h2: u32 = 0;
    let h3: u32 = 0;
    let h4: u32 = 0;
    let at = start;
    for (; at + 16 <= end; at += 16) {
      h1 ^= rotl(load<u32>(at) * C1, 15) * C2;
      h1 = times5(rotl(h1, 19) + h2) + 0x561ccd1b;
      h2 ^= rotl(load<u32>(at, 4) * C2, 16) * C3;
      h2 = times5(rotl(h2, 17) + h3) + 0x0bcaa747;
      h3 ^= rotl(load<u32>(at, 8) * C3, 17) * C4;
      h3 = times5(rotl(h3, 15) + h4) + 0x96cd1c35;
      h4 ^= rotl(load<u32>(at, 12) * C4, 18) * C1;
      h4 = times5(rotl(h4, 13) + h1) + 0x32ac3b17;
    }
    // what is left as if zeros followed, which change nothing
    const index = i8x16(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const rest = v128.and(v128.load(at), i8x16.lt_u(index, i8x16.splat(<u8>(end - at))));
    h1 ^= rotl(<u32>i32x4.extract_lane(rest, 0) * C1, 15) * C2;
    h2 ^= rotl(<u32>i32x4.extract_lane(rest, 1) * C2, 16) * C3;
    h3 ^= rotl(<u32>i32x4.extract_lane(rest, 2) * C3, 17) * C4;
    h4 ^= rotl(<u32>i32x4.extract_lane(rest, 3) * C4, 18) * C1;
    h1 ^= length;
    h2 ^= length;
    h3 ^= length;
    h4 ^= length;
    h1 += h2 + h3 + h4;
    h2 += h1;
    h3 += h1;
    h4 += h1;
    h1 = mixed(h1);
    h2 = mixed(h2);
    h3 = mixed(h3);
    h4 = mixed(h4);
    h1 += h2 + h3 + h4;
    Digest.a += h1;
    Digest.b += h2 + h1;
    Digest.c += h3 + h1;
    Digest.d += h4 + h1;
  }
}

function mixed(value: u32): u32 {
  let h = value;
  h = (h ^ (h >> 16)) * 0x85ebca6b;
  h = (h ^ (h >> 13)) * 0xc2b2ae35;
  return h ^ (h >> 16);
}

/** Engines multiply for what is one addition. */
function times5(value: u32): u32 {
  return value + (value << 2);
}
