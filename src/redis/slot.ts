// Which slot of a Redis Cluster a Redis key is in: CRC-16 (XMODEM) of what is in its first braces, modulo 16384. The
// Redis Cluster Specification has the rule, at "Hash tags".

const SLOTS = 16_384;
const POLYNOMIAL = 0x1021;

const encoder = new TextEncoder();

/** The CRC of each byte. */
const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ POLYNOMIAL : crc << 1;
  return crc;
});

export function slotOf(redisKey: string): number {
  const open = redisKey.indexOf("{");
  const close = redisKey.indexOf("}", open + 1);
  const tag = open >= 0 && close > open + 1 ? redisKey.slice(open + 1, close) : redisKey;
  let crc = 0;
  for (const byte of encoder.encode(tag)) crc = ((crc << 8) ^ TABLE[((crc >> 8) ^ byte) & 0xff]!) & 0xffff;
  return crc % SLOTS;
}
