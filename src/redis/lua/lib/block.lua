-- A block: until then every call to the key is rejected, and nothing is counted. It is a part of the state, and that of
-- a key that is only blocked has no buckets. A block that is over is dropped when the state is read: see `settle_time`.

-- Blocks the key from now on. The window has to be saved then.
local function block_for(window, ms)
  if window.total == 0 then
    -- That the server's clock was set back shows by the newest bucket, or else by the block.
    window.newest_ms, window.oldest_ms = window.now_ms, window.now_ms
  end
  window.rate = window.rate or NO_RATE
  window.blocked_until_ms, window.head_changed = window.now_ms + ms, true
  keep(window)
end

-- Ends the block. The window has to be saved then.
local function end_block(window)
  window.blocked_until_ms, window.head_changed = NEVER_MS, true
  if window.total == 0 then
    forget(window)
  end
end

-- What a call to a blocked key is replied: how long the block lasts, and what is used, as for an admitted call.
local function block_as_replied(window, used)
  local left = time_as_replied(window, window.blocked_until_ms - window.now_ms)
  local admission = admission_as_replied(window, used)
  return { left, admission }
end
