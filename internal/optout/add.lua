-- add.lua adds numbers to a suppression list. If a number is already on the list, its first entry stays. If both
-- entries are from an opt-out word, the later entry stays, because an opt-in word removes only an entry that is not
-- later than the opt-in word (take.lua).
-- KEYS: 1 data of all lists, then the bucket of each number
-- ARGV, in the order of changeArgs:
--   token
--   list
-- then for each number its field in the bucket, and its entry (time and origin in one integer)
-- Returns {'added', new numbers, numbers on the list}. A repeated run with the token of the last change returns the
-- same answer.
local KEYWORD = 3 -- number of the origin of opt-out words (KeywordOrigin in place.go)
local token, list = unpack(ARGV, 1, 2)
local last, count = redis.call('HMGET', KEYS[1], 'last', 'n:' .. list), 0
local old, added = string.match(last[1] or '', '^(%S+) (%d+)$')
if old == token then return {'added', added, last[2] or '0'} end
for i = 2, #KEYS do
  local field, entry = ARGV[2 * i - 1], tonumber(ARGV[2 * i])
  if redis.call('HSETNX', KEYS[i], field, ARGV[2 * i]) == 1 then
    count = count + 1
  elseif entry % 64 == KEYWORD then
    local first = tonumber(redis.call('HGET', KEYS[i], field))
    if first and first % 64 == KEYWORD and first < entry then redis.call('HSET', KEYS[i], field, ARGV[2 * i]) end
  end
end
redis.call('HSET', KEYS[1], 'last', token .. ' ' .. count)
local all = last[2] or '0'
if count > 0 then all = redis.call('HINCRBY', KEYS[1], 'n:' .. list, count) end
return {'added', tostring(count), tostring(all)}
