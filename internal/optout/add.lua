-- add.lua adds numbers to a suppression list. A number that is on the list already keeps its first entry.
-- KEYS: 1 data of all lists, then the bucket of each number
-- ARGV, in the order of changeArgs:
--   token
--   list
-- then for each number its field in the bucket, and its entry (time and origin in one integer)
-- Returns {'added', new numbers, numbers on the list}. The last token gets the same answer again.
local token, list = unpack(ARGV, 1, 2)
local last, count = redis.call('HMGET', KEYS[1], 'last', 'n:' .. list), 0
local old, added = string.match(last[1] or '', '^(%S+) (%d+)$')
if old == token then return {'added', added, last[2] or '0'} end
for i = 2, #KEYS do count = count + redis.call('HSETNX', KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
redis.call('HSET', KEYS[1], 'last', token .. ' ' .. count)
local all = last[2] or '0'
if count > 0 then all = redis.call('HINCRBY', KEYS[1], 'n:' .. list, count) end
return {'added', tostring(count), tostring(all)}
