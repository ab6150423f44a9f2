-- quarantine.lua enters an unreadable record in the campaign's quarantine list. It can also remove the work that needs
-- the record from the open set.
-- KEYS: 1 ledger, 2 open set, 3 quarantined records, 4 quarantined work
-- ARGV, in the order of quarantineArgs:
--   token
--   name         name of the record
--   entry        its entry
--   short_entry  its entry without the bytes
--   work         work that needs it (a batch or 'plan'), or ''
--   remove       1: remove that work from the open set; 0: do not
--   open_batch_limit
-- Returns {'aside', first 0|1, 'batch:wake'…} | {'missing'|'newer'}. 'first' is 1 if the record was not in the list
-- before. An entry begins with its time, followed by the token and the answer of the last run for the record. A
-- repeated run with that token returns the same answer.
-- The first 100 entries keep the bytes of their record. The list has at most 1,000 entries; further records are only
-- counted.
local token, name, entry, short_entry, work, remove, open_batch_limit = unpack(ARGV)
local v = get('v')
if not v then return {'missing'} end
if (tonumber(v) or 0) > 1 then return {'newer'} end
local now = now_ms()
local old = redis.call('HGET', KEYS[3], name)
local at, text, first, wakes = int(now), nil, '0', {}

local function answer()
  local out = {'aside', first}
  for _, x in ipairs(wakes) do out[#out + 1] = x end
  return out
end

if old then
  local head, rest = string.match(old, '^([^\n]*)\n(.*)$')
  local w = words(head or '')
  if w[2] == token then
    first = w[3]
    for i = 4, #w do wakes[#wakes + 1] = w[i] end
    return answer()
  end
  at, text = w[1] or at, rest or short_entry
else
  local n = redis.call('HLEN', KEYS[3])
  if n < 1000 then text = n < 100 and entry or short_entry end
  if text or work == '' or not redis.call('ZSCORE', KEYS[4], work) then first = '1' end
end
if first == '1' then add('aside', 1) end
if remove == '1' then
  if redis.call('ZADD', KEYS[4], int(now), work) == 1 then add('left', 1) end
  if redis.call('ZREM', O, work) == 1 then
    local a = string.match(work, '^(%d+)%.%d+$')
    if a then
      add('ob:' .. a, -1)
      hand_out(a, tonumber(open_batch_limit), now, wakes)
    end
  end
end
if text then
  local said = table.concat(wakes, ' ')
  redis.call('HSET', KEYS[3], name, at .. ' ' .. token .. ' ' .. first .. ' ' .. said .. '\n' .. text)
end
return answer()
