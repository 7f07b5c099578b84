-- Opens the window of one limited key: reads it and drops what has expired. Every command begins so:
--   KEYS[1]  the state: rate, total and the oldest and the newest bucket, packed
--   KEYS[2]  the buckets between these two, a list, oldest first, each packed: hit time, count, declined
--   ARGV[1]  the time in ms, or "" for the server's own
--   ARGV[2]  windowMs
--   ARGV[3]  bucketMs
--   ARGV[4]  how long what is hit now is kept, in ms
-- A sum with 0 makes a number of an argument at a third of what tonumber costs.
-- What hits bring and what suppression needs comes after the state's first seven fields, and only where it is needed.
-- Replies in Lua's numbers would lose fractions, and clients round integers near 2^53.
local exact = '%.17g'
local now_ms = ARGV[1]
if now_ms == '' then
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + time[2] / 1000
else
  now_ms = now_ms + 0
end
local window_ms = ARGV[2] + 0
local bucket_ms = ARGV[3] + 0

-- total is 0 exactly when nothing of the key is live. With one bucket only, oldest_count is 0 and the
-- oldest is the newest. factor is text, as it is replied. seen is how many buckets, from the oldest on, have left the recent span, and
-- recent what the others count; they are nil until somebody asks.
local rate, total, between, oldest_ms, oldest_count, newest_ms, newest_count
local declined, oldest_declined, newest_declined, factor, factor_ms, seen, recent
-- Whether what is stored differs from what is here, and whether it is to be kept anew from now on.
local changed, hit = false, false

local packed = redis.call('GET', KEYS[1])
if packed then
  rate, total, between, oldest_ms, oldest_count, newest_ms, newest_count,
    declined, oldest_declined, newest_declined, factor, factor_ms, seen, recent = cmsgpack.unpack(packed)
  -- For a server's clock that was set back, time stands still.
  if now_ms < newest_ms then now_ms = newest_ms end
  if newest_ms + window_ms <= now_ms then
    redis.call('DEL', KEYS[1], KEYS[2])
    packed = false
  end
end
if not packed then
  total, between, oldest_count, newest_count = 0, 0, 0, 0
end
if not declined or not packed then
  declined, oldest_declined, newest_declined, factor, factor_ms, seen, recent = 0, 0, 0, nil, nil, nil, nil
end

while oldest_count > 0 and oldest_ms + window_ms <= now_ms do
  changed = true
  total = total - oldest_count
  declined = declined - oldest_declined
  if seen then
    if seen > 0 then seen = seen - 1 else recent = recent - oldest_count end
  end
  local next = between > 0 and redis.call('LPOP', KEYS[2])
  if next then
    between = between - 1
    oldest_ms, oldest_count, oldest_declined = cmsgpack.unpack(next)
  else
    -- Also where the server evicted the list: what it held is forgotten.
    between, oldest_ms, oldest_count, oldest_declined = 0, newest_ms, 0, 0
    total, declined = newest_count, newest_declined
    if seen then seen, recent = 0, newest_count end
  end
end
