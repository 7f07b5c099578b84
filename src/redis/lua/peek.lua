-- What a key has used, and what a call to it would meet. Records nothing.
--   ARGV[3] the count of the call   ARGV[4] the rate to judge it by, or "" for the key's own
-- Replies with 0 for an unknown key, since nothing is what a client says that knows nothing; else with the rate, the
-- total, the declined part, how long until enough has expired for the call and how much that is, how long until the
-- oldest bucket expires and how much accepted usage it has, the rate of the recent span, the kept factor and its age,
-- and what is leased.
local clock_ms = ARGV[5]
-- include window
local own_rate = ARGV[4] == ''
-- What is leased matters also where nothing is counted, but there the key has no rate.
if total == 0 and (own_rate or reserved == 0) then return 0 end
-- include save
-- The factor that is kept was computed for the key's own rate. Nothing is stored from here on.
if not own_rate and rate ~= ARGV[4] + 0 then
  rate, factor_ms = ARGV[4] + 0, never_ms
end
-- include recent
-- The capacity, as capacityOf in strategy/capacity.ts has it.
local capacity = rate * (window_ms / 1000)
if capacity < 4503599627370496 then
  capacity = math.floor(capacity + math.min(capacity * 1e-12, math.max(1e-3, capacity * 2 ^ -51), 0.5))
end
local missing = total + reserved + (ARGV[3] + 0) - capacity
-- include wait
local reply = {
  rate, total, declined, wait_ms, freed, (total > 0 and oldest_ms + window_ms or last_gone_ms) - now_ms,
  oldest_count > 0 and oldest_count - oldest_declined or newest_count - newest_declined,
  recent_per_second, factor, now_ms - factor_ms, reserved,
}
for i, value in ipairs(reply) do reply[i] = exact:format(value) end
return reply
