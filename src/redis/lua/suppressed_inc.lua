-- Decides about a call under the suppressed strategy, and records it.
--   ARGV[3] the count   ARGV[4] the capacity   ARGV[5] the rate   ARGV[6] the hard limit
--   ARGV[7] suppressionCacheMs   ARGV[8] a draw from [0, 1), which a factor of 1 has no use for
-- Replies with the accepted usage after the call when that fits under the capacity; else with 1 or 0 for
-- admitted or denied, the accepted usage before, the factor in 2^-53, how long until the oldest bucket expires, and how
-- much accepted usage it has.
local clock_ms = ARGV[9]
-- include window
local count = ARGV[3] + 0
local given_rate = ARGV[5] + 0
-- What is leased is taken.
local accepted = total - declined + reserved
local wanted = accepted + count
local denied = 0
local met_factor
local admitted = true

if rate ~= given_rate then
  rate, factor_ms, changed = given_rate, never_ms, true
end
if wanted > (ARGV[4] + 0) then
  if wanted > (ARGV[6] + 0) then
    met_factor = 1
  elseif now_ms - factor_ms < (ARGV[7] + 0) then
    met_factor = factor
  else
    -- include recent
    met_factor = math.max(0, 1 - rate / math.max(total * 1000 / window_ms, recent_per_second))
    factor, factor_ms = met_factor, now_ms
  end
  if met_factor == 1 or (ARGV[8] + 0) < met_factor then
    admitted, denied = false, count
  end
end

-- include hit
-- include save
if not met_factor then return wanted < 1e15 and wanted or exact:format(wanted) end
local oldest_accepted = oldest_count > 0 and oldest_count - oldest_declined or newest_count - newest_declined
if total >= 1e15 then
  accepted, oldest_accepted = exact:format(accepted), exact:format(oldest_accepted)
end
local wait_ms = oldest_ms + window_ms - now_ms
-- include reply_wait
-- A difference to 1 is a multiple of 2^-53, and whole numbers cost a tenth of text.
local scaled_factor = met_factor * 9007199254740992
if scaled_factor > 9007199254740900 and met_factor < 1 then scaled_factor = exact:format(scaled_factor) end
return { admitted and 1 or 0, accepted, scaled_factor, wait, oldest_accepted }
