-- The reports about many keys in one script, one after the other. ARGV has for each report how many arguments it has,
-- and these; at last the time, where the caller gives it. The reply is a list of the replies, as that of `batch` is.
local function sync_batch(keys, arguments)
  local replies = {}
  local froms = {}
  local at = 1
  for i = 1, #keys / 3 do
    froms[i] = at
    at = at + 1 + arguments[at]
  end
  local clock_ms = arguments[at]
  for i, from in ipairs(froms) do
    local own = { unpack(arguments, from + 1, from + arguments[from]) }
    own[#own + 1] = clock_ms
    local is_done, reply = pcall(sync, { keys[3 * i - 2], keys[3 * i - 1], keys[3 * i] }, own)
    if not is_done or reply.err then
      reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
    end
    replies[i] = reply
  end
  return replies
end
