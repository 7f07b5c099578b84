-- Takes a hybrid process's report about one key and gives it a new lease.
--   KEYS[3]  the leases, a hash: process to number of the last report, size and when it is gone
--   ARGV[3] the rate; negative where it was told before, so that the key keeps one that others have given it since
--   ARGV[4] the capacity   ARGV[5] the process   ARGV[6] how long it may spend a lease, in ms
--   ARGV[7] how much of its lease it keeps   ARGV[8] the count of the first call that waits, or 0
--   ARGV[9] how much all calls that wait need   ARGV[10] how much more it would like
--   ARGV[11] suppressionCacheMs, or "" under the absolute strategy   ARGV[12] the hard limit
--   ARGV[13] the number of this report; the next one is that of what is counted for the calls that wait
--   ARGV[14] the number of hits that follow, each: number of the report that brought it first, age in ms, count, declined
-- Replies with what was counted for the calls that wait, if there is room for all of them, what was granted else, the
-- total, the declined part, what others have leased, how many buckets there are (3
-- for more), for the two oldest how long until they expire and how much accepted usage they have, for a first call
-- that has to wait how long and how much is free then, and the factor and how long it is kept.
local clock_ms = ARGV[15 + ARGV[14] * 4]
-- include open
local is_given = ARGV[3] + 0 > 0
local given_rate = math.abs(ARGV[3])
local limit = ARGV[4] + 0
local process = ARGV[5]
local lease_ms = ARGV[6] + 0
local held = ARGV[7] + 0
local ask = ARGV[8] + 0
local need = ARGV[9] + 0
local report = ARGV[13] + 0
local hits = ARGV[14] + 0

-- include drop_leases
local last_report, held_before, gone_ms = 0, 0, 0
local lease = redis.call('HGET', KEYS[3], process)
if lease then last_report, held_before, gone_ms = struct.unpack('<ddd', lease) end
-- A client may send again what was executed, or so late that others have come before it.
if report <= last_report then return redis.error_reply('STALE report: this one or a later one has been counted') end
if held_before > 0 and gone_ms > now_ms then
  reserved = math.max(0, reserved - held_before)
  holders = holders - 1
  hit = true
end
if rate ~= given_rate and (is_given or not rate) then
  rate, factor_ms, changed = given_rate, never_ms, true
end

-- A report whose answer was lost comes again, and is known by its number. The hits are counted as of their time, when
-- buckets were live that have expired since if nobody hit them. To put one between the others reads and writes all of
-- them; one that is a little late counts as of the newest.
local present_ms = now_ms
local little_ms = math.max(bucket_ms, window_ms / 100)
local late = {}
for i = 15, 14 + hits * 4, 4 do
  local number, count, denied = ARGV[i] + 0, ARGV[i + 2] + 0, ARGV[i + 3] + 0
  local hit_ms = present_ms - ARGV[i + 1]
  if number > last_report and hit_ms + window_ms > present_ms then
    if total > 0 and hit_ms + little_ms < newest_ms then
      late[#late + 1] = { hit_ms, count, denied }
    else
      now_ms = total > 0 and math.max(newest_ms, hit_ms) or hit_ms
      -- include expire
      -- include hit
    end
  end
end
now_ms = present_ms
if #late > 0 then
  -- include merge_late
end
-- include expire

local taken = total - declined + reserved
local room = limit - taken - held
local waits = ask > room
local counted, granted = 0, 0
if waits then need = need - ask end
if need > room or waits then
  granted = math.max(0, math.min(need, room))
elseif need > 0 then
  counted = need
  room = room - need
  local count, denied = need, 0
  -- include hit
end
-- What isn't enough for the first call that waits is left to others. While they hold leases all of them together get half
-- of what is free, so that there is some for whoever comes.
local share = waits and 0 or room - granted
if holders > 0 then share = share / (2 * holders + 2) end
granted = granted + math.floor(math.max(0, math.min(ARGV[10] + 0, share)))
local reserved_by_others = reserved
held = held + granted
if held > 0 then
  local gone_ms = now_ms + lease_ms + window_ms
  first_gone_ms = holders > 0 and math.min(first_gone_ms, gone_ms) or gone_ms
  last_gone_ms = holders > 0 and math.max(last_gone_ms, gone_ms) or gone_ms
  reserved = reserved + held
  holders = holders + 1
  changed = true
end
if held > 0 or held_before > 0 or counted > 0 or hits > 0 then
  redis.call('HSET', KEYS[3], process, struct.pack('<ddd', counted > 0 and report + 1 or report, held, now_ms + lease_ms + window_ms))
  redis.call('PEXPIRE', KEYS[3], math.ceil(lease_ms + window_ms + bucket_ms) + (clock_ms and 60000 or 0))
end

local oldest_accepted = oldest_count > 0 and oldest_count - oldest_declined or newest_count - newest_declined
local buckets_known, second_ms, second_accepted = 0, 0, 0
local first_ms = 0
if total > 0 then
  buckets_known = 1
  first_ms = oldest_ms
  if oldest_count > 0 then
    buckets_known = 2
    second_ms, second_accepted = newest_ms, newest_count - newest_declined
    local second = between > 0 and redis.call('LINDEX', KEYS[2], 0)
    if second then
      local count, denied
      second_ms, count, denied = cmsgpack.unpack(second)
      buckets_known, second_accepted = 3, count - denied
    end
  end
end
local wait, free_then, factor_left_ms = 0, 0, -1
if waits and ARGV[11] == '' then
  if ask <= limit then
    local missing = taken + ask - limit
    -- include wait
    wait, free_then = wait_ms, math.max(0, limit - taken + freed)
  end
elseif waits and taken + ask <= (ARGV[12] + 0) then
  if now_ms - factor_ms >= (ARGV[11] + 0) then
    -- include recent
    factor = math.max(0, 1 - rate / math.max(total * 1000 / window_ms, recent_per_second))
    factor_ms, changed = now_ms, true
  end
  factor_left_ms = factor_ms + ARGV[11] - now_ms
end
if state or total > 0 or holders > 0 or factor_ms > never_ms then
  if not state and total == 0 then
    newest_ms, oldest_ms = now_ms, now_ms
  end
  if holders > 0 or not state then
    -- include keep
  end
  -- include save
end
local reply = {
  counted, granted, total, declined, reserved_by_others, buckets_known, first_ms + window_ms - now_ms, oldest_accepted,
  second_ms + window_ms - now_ms, second_accepted, wait, free_then, factor, factor_left_ms,
}
for i, value in ipairs(reply) do reply[i] = exact:format(value) end
return reply
