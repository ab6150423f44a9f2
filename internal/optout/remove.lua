-- remove.lua removes numbers from a suppression list.
-- KEYS: 1 data of all lists, then the bucket of each number
-- ARGV, in the order of changeArgs:
--   token
--   list
-- then the field of each number in its bucket
-- Returns {'removed', numbers that were on the list}. A repeated run with the token of the last change returns the same
-- answer.
local token, list = unpack(ARGV, 1, 2)
local old, removed = string.match(redis.call('HGET', KEYS[1], 'last') or '', '^(%S+) (%d+)$')
if old == token then return {'removed', removed} end
local count = 0
for i = 2, #KEYS do count = count + redis.call('HDEL', KEYS[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], 'last', token .. ' ' .. count)
if count > 0 and redis.call('HINCRBY', KEYS[1], 'n:' .. list, -count) <= 0 then redis.call('HDEL', KEYS[1], 'n:' .. list) end
return {'removed', tostring(count)}
