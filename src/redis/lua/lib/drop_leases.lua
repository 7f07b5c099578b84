-- Adds up the leases that are left when one of them is gone, and where the state is gone that knew of them.
if holders == 0 or first_gone_ms <= now_ms then
  changed = changed or holders > 0
  reserved, holders, first_gone_ms, last_gone_ms = 0, 0, math.huge, 0
  local leases = redis.call('HGETALL', KEYS[3])
  for i = 1, #leases, 2 do
    local _, size, gone_ms = struct.unpack('<ddd', leases[i + 1])
    if gone_ms <= now_ms then
      redis.call('HDEL', KEYS[3], leases[i])
    elseif size > 0 then
      reserved, holders, changed = reserved + size, holders + 1, true
      first_gone_ms, last_gone_ms = math.min(first_gone_ms, gone_ms), math.max(last_gone_ms, gone_ms)
    end
  end
end
