local function suppressed_inc(keys, arguments)
  local window = {}
  open_window(window, keys, arguments)
  expire(window)
  local count = arguments.count
  local accepted, factor, is_admitted = decide_suppressed(
    window,
    count,
    arguments.limit,
    arguments.rate,
    arguments.hard_limit,
    arguments.suppression_cache_ms,
    arguments.draw
  )
  local replied = suppressed_as_replied(window, accepted, accepted + count, factor, is_admitted)
  save(window)
  return replied
end

-- Decides about a call at the window's time, and counts it. The window has to be saved then. Returns the accepted usage
-- before the call, the factor that the call met, and whether it was admitted. The factor is -1 under the soft limit.
local function decide_suppressed(window, count, limit, rate, hard_limit, suppression_cache_ms, draw)
  local factor, is_admitted = 1, false
  -- Leases count as used, because the processes that have them may spend them on accepted calls.
  local accepted = window.total - window.declined + window.reserved
  if window.rate ~= rate then
    set_rate(window, rate)
  end
  if window.blocked_until_ms == NEVER_MS then
    if accepted + count <= limit then
      factor, is_admitted = -1, true
    elseif accepted + count + window.headroom <= hard_limit then
      refresh_factor(window, suppression_cache_ms)
      factor = window.factor
      is_admitted = factor < 1 and draw >= factor
    end
    add_hit(window, count, is_admitted and 0 or count)
  end
  return accepted, factor, is_admitted
end

-- What a call is replied. `accepted` is the accepted usage before the call, `used` that with the call. The window has
-- counted it.
local function suppressed_as_replied(window, accepted, used, factor, is_admitted)
  local replied
  if window.blocked_until_ms > NEVER_MS then
    replied = block_as_replied(window, accepted)
  elseif factor < 0 then
    replied = admission_as_replied(window, used)
  else
    replied = suppression_as_replied(window, is_admitted, accepted, factor)
  end
  return replied
end

-- What a call above the capacity is replied. `accepted` is the accepted usage before it; the window has the call.
local function suppression_as_replied(window, is_admitted, accepted, factor)
  local wait_ms = oldest_expires_in(window)
  local wait = time_as_replied(window, wait_ms)
  local oldest = oldest_accepted(window)
  local replied_accepted = whole_as_replied(accepted)
  local scaled = scaled_as_replied(factor)
  local replied_oldest = whole_as_replied(oldest)
  return reply({
    admitted = is_admitted and 1 or 0,
    accepted = replied_accepted,
    scaled_factor = scaled,
    wait = wait,
    oldest_accepted = replied_oldest,
  })
end
