-- Adds up the leases that are left when one of them is gone.
if holders > 0 and first_gone_ms <= now_ms then
  reserved, holders, first_gone_ms, changed = 0, 0, last_gone_ms, true
  local leases = redis.call('HGETALL', KEYS[3])
  for i = 1, #leases, 2 do
    local _, size, gone_ms = struct.unpack('<ddd', leases[i + 1])
    if gone_ms <= now_ms then
      redis.call('HDEL', KEYS[3], leases[i])
    elseif size > 0 then
      reserved, holders, first_gone_ms = reserved + size, holders + 1, math.min(first_gone_ms, gone_ms)
    end
  end
end
