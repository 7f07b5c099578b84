-- Decides about a call under the suppressed strategy, and records it.
--   ARGV[4] the count   ARGV[5] the capacity   ARGV[6] the rate   ARGV[7] the hard limit
--   ARGV[8] suppressionCacheMs   ARGV[9] the recent span in ms   ARGV[10] a draw from [0, 1)
-- Replies with the accepted usage after the call when that fits under the capacity; else with 1 or 0 for
-- admitted or denied, the accepted usage before, the factor, how long until the oldest bucket expires, how
-- much accepted usage it has, and 1 if the draw was used.
-- include window
local count = tonumber(ARGV[4])
local given_rate = tonumber(ARGV[6])
local accepted = total - declined
local wanted = accepted + count
local denied = 0
local met_factor
local drawn = false

if rate ~= given_rate then
  rate, factor_ms = given_rate, nil
end
if wanted > tonumber(ARGV[5]) then
  if wanted > tonumber(ARGV[7]) then
    met_factor = 1
  elseif factor_ms and now_ms - factor_ms < tonumber(ARGV[8]) then
    met_factor = factor
  else
    local recent_per_second = 0
    if total > 0 then
      local recent_ms = tonumber(ARGV[9])
      -- include recent
    end
    met_factor = math.max(0, 1 - rate / math.max(total * 1000 / window_ms, recent_per_second))
    factor, factor_ms = met_factor, now_ms
  end
  drawn = met_factor < 1
  if not drawn or tonumber(ARGV[10]) < met_factor then denied = count end
end

-- include hit
-- include save
if not met_factor then return wanted < 1e15 and wanted or exact:format(wanted) end
local oldest_accepted = oldest_count > 0 and oldest_count - oldest_declined or newest_count - newest_declined
if total >= 1e15 then
  accepted, oldest_accepted = exact:format(accepted), exact:format(oldest_accepted)
end
return {
  denied > 0 and 0 or 1,
  accepted,
  exact:format(met_factor),
  exact:format(oldest_ms + window_ms - now_ms),
  oldest_accepted,
  drawn and 1 or 0,
}
