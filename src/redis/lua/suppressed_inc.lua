-- Decides about a call under the suppressed strategy, and records it.
--   ARGV[5] the count   ARGV[6] the capacity   ARGV[7] the rate   ARGV[8] the hard limit
--   ARGV[9] suppressionCacheMs   ARGV[10] the recent span in ms   ARGV[11] a draw from [0, 1)
-- Replies with the accepted usage after the call when that fits under the capacity; else with 1 or 0 for
-- admitted or denied, the accepted usage before, the factor, how long until the oldest bucket expires, how
-- much accepted usage it has, and 1 if the draw was used.
-- include window
local count = ARGV[5] + 0
local given_rate = ARGV[7] + 0
local accepted = total - declined
local wanted = accepted + count
local denied = 0
local met_factor
local admitted, drawn = true, false

if rate ~= given_rate then
  rate, factor_ms = given_rate, nil
end
if wanted > (ARGV[6] + 0) then
  if wanted > (ARGV[8] + 0) then
    met_factor = 1
  elseif factor_ms and now_ms - factor_ms < (ARGV[9] + 0) then
    met_factor = factor + 0
  else
    local recent_per_second = 0
    if total > 0 then
      local recent_ms = ARGV[10] + 0
      -- include recent
    end
    met_factor = math.max(0, 1 - rate / math.max(total * 1000 / window_ms, recent_per_second))
    factor, factor_ms = exact:format(met_factor), now_ms
  end
  drawn = met_factor < 1
  if not drawn or (ARGV[11] + 0) < met_factor then
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
return {
  admitted and 1 or 0,
  accepted,
  met_factor == 1 and '1' or factor,
  exact:format(oldest_ms + window_ms - now_ms),
  oldest_accepted,
  drawn and 1 or 0,
}
