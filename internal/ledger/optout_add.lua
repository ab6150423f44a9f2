-- optout_add.lua adds numbers to a suppression list. A number that is on the list already keeps its first entry.
-- KEYS: 1 data of all lists, then the bucket of each number
-- ARGV: 1 token, 2 list, then for each number its field in the bucket, and its entry (time and origin in one integer)
-- Returns {'added', new numbers, numbers on the list}. The last token gets the same answer again.
local last, count = redis.call('HMGET', KEYS[1], 'last', 'n:' .. ARGV[2]), 0
local token, added = string.match(last[1] or '', '^(%S+) (%d+)$')
if token == ARGV[1] then return {'added', added, last[2] or '0'} end
for i = 2, #KEYS do count = count + redis.call('HSETNX', KEYS[i], ARGV[2 * i - 1], ARGV[2 * i]) end
redis.call('HSET', KEYS[1], 'last', ARGV[1] .. ' ' .. count)
local all = last[2] or '0'
if count > 0 then all = redis.call('HINCRBY', KEYS[1], 'n:' .. ARGV[2], count) end
return {'added', tostring(count), tostring(all)}
