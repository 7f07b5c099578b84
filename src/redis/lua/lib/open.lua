-- Reads the window of one limited key:
--   KEYS[1]  the state, numbers of 8 bytes: seven, fourteen where suppression has anything to remember, and
--            eighteen while processes hold leases (see sync.lua)
--   KEYS[2]  the buckets between these two, a list, oldest first, each packed: hit time, count, declined
--   ARGV[1]  windowMs
--   ARGV[2]  bucketMs
--   and last, in clock_ms, the time in ms; absent for the server's own
-- A sum with 0 makes a number of an argument at a third of what tonumber costs.
-- Replies in Lua's numbers would lose fractions, and clients round integers near 2^53.
local exact = '%.17g'
local window_ms = ARGV[1] + 0
local bucket_ms = ARGV[2] + 0
local now_ms
if clock_ms then
  now_ms = clock_ms + 0
else
  local time = redis.call('TIME')
  now_ms = time[1] * 1000 + time[2] / 1000
end

-- total is 0 exactly when nothing of the key is live. With one bucket only, oldest_count is 0 and the oldest is the
-- newest. seen is how many buckets, from the oldest on, have left the recent span, and recent what the others count;
-- seen is -1 until somebody asks. The factor was computed at factor_ms, which is far in the past for none.
local never_ms = -math.huge
local rate, between, oldest_ms, oldest_count
local newest_ms, newest_count, total
local oldest_declined, newest_declined, declined, seen, recent, factor, factor_ms = 0, 0, 0, -1, 0, 0, never_ms
-- reserved is what holders of leases may still spend. The first of the leases is gone at first_gone_ms and the last
-- at last_gone_ms, whatever becomes of their holders.
local reserved, holders, first_gone_ms, last_gone_ms = 0, 0, 0, 0
-- What of the state differs from what is stored: its first four numbers, or only what comes after them. When a
-- bucket begins, keep_ms is how long to keep it.
local changed, hit, keep_ms = false, false, nil

local state = redis.call('GET', KEYS[1])
if state then
  if #state == 56 then
    rate, between, oldest_ms, oldest_count, newest_ms, newest_count, total = struct.unpack('<ddddddd', state)
  else
    rate, between, oldest_ms, oldest_count, newest_ms, newest_count, total, oldest_declined, newest_declined, declined,
      seen, recent, factor, factor_ms = struct.unpack('<dddddddddddddd', state)
    if #state > 112 then
      reserved, holders, first_gone_ms, last_gone_ms = struct.unpack('<dddd', state, 113)
    end
  end
  -- A hit in the only bucket stores but what follows these.
  if oldest_count == 0 then oldest_ms = newest_ms end
  -- For a server's clock that was set back, time stands still.
  if now_ms < newest_ms then now_ms = newest_ms end
  if holders > 0 and last_gone_ms <= now_ms then
    reserved, holders, changed = 0, 0, true
  end
else
  between, oldest_count, newest_count, total = 0, 0, 0, 0
end
