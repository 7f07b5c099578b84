-- Many calls of one command in one script, one after the other. ARGV has for each call how many arguments it has, and
-- these; at last what all of them have as their last argument, if anything. `run` is the command, which has `key_count`
-- keys. The reply is a list of the replies, as that of `batch` is.
local function run_each(keys, arguments, run, key_count)
  local replies = {}
  local froms = {}
  local at = 1
  for i = 1, #keys / key_count do
    froms[i] = at
    at = at + 1 + arguments[at]
  end
  local common = arguments[at]
  for i, from in ipairs(froms) do
    local own = { unpack(arguments, from + 1, from + arguments[from]) }
    own[#own + 1] = common
    local is_done, reply = pcall(run, { unpack(keys, (i - 1) * key_count + 1, i * key_count) }, own)
    if not is_done or type(reply) == 'table' and reply.err then
      reply = '!' .. (type(reply) == 'table' and reply.err or tostring(reply))
    end
    replies[i] = reply
  end
  return replies
end
