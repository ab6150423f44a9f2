-- set_aside.lua enters a record that cannot be read in the campaign's list, and takes the work that needs it out of the open set.
-- KEYS: 1 ledger, 2 open set, 3 list of records, 4 works that were taken out
-- ARGV: 1 token, 2 record, 3 its entry, 4 its entry without the bytes, 5 work or '', 6 leave 0|1, 7 window
-- Returns {'aside', first 0|1, 'batch:wake'…} | {'missing'|'newer'}. An entry begins with when, and whom it was answered what; the
-- token that was there last is answered the same again. A list that is full counts only.
local v = get('v')
if not v then return {'missing'} end
if (tonumber(v) or 0) > 1 then return {'newer'} end
local token, name, work, now = ARGV[1], ARGV[2], ARGV[5], now_ms()
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
  at, text = w[1] or at, rest or ARGV[4]
else
  local n = redis.call('HLEN', KEYS[3])
  if n < 1000 then text = n < 100 and ARGV[3] or ARGV[4] end
  if text or work == '' or not redis.call('ZSCORE', KEYS[4], work) then first = '1' end
end
if first == '1' then add('aside', 1) end
if ARGV[6] == '1' then
  if redis.call('ZADD', KEYS[4], int(now), work) == 1 then add('left', 1) end
  if redis.call('ZREM', O, work) == 1 then
    local a = string.match(work, '^(%d+)%.%d+$')
    if a then
      add('ob:' .. a, -1)
      hand_out(a, tonumber(ARGV[7]), now, wakes)
    end
  end
end
if text then
  local said = table.concat(wakes, ' ')
  redis.call('HSET', KEYS[3], name, at .. ' ' .. token .. ' ' .. first .. ' ' .. said .. '\n' .. text)
end
return answer()
